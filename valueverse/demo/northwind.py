"""Tenant ``northwind-ai``: one real hour of two language-model services, billed on one plan.

The requests are the Azure LLM inference traces of 16 November 2023 (CC BY 4.0; see ``data/README.md``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
import yaml

from valueverse.demo.files import DemoFile, Event, ndjson
from valueverse.value import library

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

TENANT = "northwind-ai"
SOURCE = "azure-public-dataset"
VALUE_MODEL = "developer_time"
AGREED_WITH = "code-assistant"
"""The customer who has agreed on that model."""
TRACES = {"AzureLLMInferenceTrace_code": "code-assistant", "AzureLLMInferenceTrace_conv": "chat"}
"""Trace (file name without ``.csv``) -> the customer whose service it recorded."""
_SENT = "AzureLLMInferenceTrace_code"

CATALOG = {
    "schema": "valueverse.catalog/v1",
    "currency": "USD",
    "timezone": "UTC",
    "grace": "1 day",
    "meters": [
        {
            "key": "context_tokens",
            "event_type": "llm.request",
            "aggregation": "sum",
            "value": "context_tokens",
        },
        {
            "key": "generated_tokens",
            "event_type": "llm.request",
            "aggregation": "sum",
            "value": "generated_tokens",
        },
        {"key": "requests", "event_type": "llm.request", "aggregation": "count"},
    ],
    "plans": [
        {
            "key": "inference",
            "version": 1,
            "currency": "USD",
            "period": {"every": 1, "unit": "month", "align": "calendar"},
            "fees": [{"key": "platform", "amount": "25.00", "timing": "in_arrears"}],
            "charges": [
                {
                    "key": "context_tokens",
                    "meter": "context_tokens",
                    "convert": {"divide_by": "1000"},
                    "price": {
                        "model": "graduated",
                        "tiers": [{"up_to": "10000", "unit": "0.0030"}, {"up_to": None, "unit": "0.0020"}],
                    },
                },
                {
                    "key": "generated_tokens",
                    "meter": "generated_tokens",
                    "convert": {"divide_by": "1000"},
                    "price": {
                        "model": "volume",
                        "tiers": [{"up_to": "1000", "unit": "0.015"}, {"up_to": None, "unit": "0.012"}],
                    },
                },
                {
                    "key": "requests",
                    "meter": "requests",
                    "price": {"model": "package", "size": "1000", "amount": "0.50", "free": "1000"},
                },
                {
                    "key": "developer_time",
                    "name": "A share of developer time saved",
                    "price": {
                        "model": "outcome",
                        "value_model": "developer_time",
                        "output": "realised.developer_time",
                        "share": "0.15",
                        "floor": "1200 USD/year",
                        "cap": "60000 USD/year",
                        "period": "month",
                        "dispute_days": 30,
                    },
                },
            ],
        }
    ],
}


def billing_events() -> list[Event]:
    """The tenant, its catalog, its two customers and their subscriptions of November 2023."""
    events = [
        _billing(
            "tenant",
            "tenant.created",
            "2023-10-01T00:00:00Z",
            {"tenant": TENANT, "name": "Northwind AI", "timezone": "UTC", "currency": "USD"},
        ),
        _billing("catalog-1", "catalog.published", "2023-10-01T00:00:00Z", CATALOG),
    ]
    for customer, name in (("code-assistant", "Code Assistant"), ("chat", "Chat")):
        events.append(
            _billing(
                f"customer-{customer}",
                "customer.created",
                "2023-10-20T09:00:00Z",
                {"customer": customer, "name": name},
            )
        )
        events.append(
            _billing(
                f"subscription-{customer}",
                "subscription.started",
                "2023-11-01T00:00:00Z",
                {
                    "subscription": f"{customer}-inference",
                    "customer": customer,
                    "plan": "inference",
                    "ends_at": "2023-12-01T00:00:00Z",
                },
            )
        )
    return events


def cost_events() -> list[Event]:
    """What serving the month cost: a machine for everybody, and storage for one customer."""
    period = {"from": "2023-11-01", "to": "2023-12-01"}
    shared = {"amount": "96.00", "currency": "USD", "service": "generated_tokens", "period": period}
    own = {"customer": "chat", "amount": "4.20", "currency": "USD", "service": "storage", "period": period}
    return [
        _billing("cost-machines", "cost.recorded", "2023-12-01T00:00:00Z", shared),
        _billing("cost-storage", "cost.recorded", "2023-12-01T00:00:00Z", own),
    ]


def value_model() -> dict[str, Any]:
    """The library's model of developer time, measured by the customer's requests and by what they are invoiced."""
    model: dict[str, Any] = yaml.safe_load(library.text(VALUE_MODEL))
    # As long as the customer's subscription: later months have no requests, and a month without them is no measurement.
    model["axis"] |= {"start": "2023-11-01", "periods": 1}
    model["description"] = (
        "Every metered request to the coding assistant that is accepted saves some minutes of a developer. "
        "Requests and what is invoiced are measured; the rest is as Northwind AI and Code Assistant have agreed."
    )
    model["evidence"]["own_figures"] = {"title": "Agreed between Northwind AI and Code Assistant"}
    model["inputs"]["requests"] = {
        "unit": "request/month",
        "bind": {"metric": "usage.requests", "agg": "sum"},
        "missing": "error",
    }
    model["inputs"]["licence"] = {
        "unit": "USD/month",
        "bind": {"metric": "billing.invoiced_net", "agg": "sum"},
        "missing": "zero",
        "description": "What is invoiced, net of tax",
    }
    model["inputs"]["rollout"] = {"unit": "USD", "value": 500, "evidence": "own_figures"}
    model["scenarios"]["agreed"] = {"requests": 8000, "licence": 80}
    return model


def _billing(identity: str, kind: str, time: str, data: Mapping[str, object]) -> Event:
    return {
        "specversion": "1.0",
        "id": identity,
        "source": "northwind-office",
        "type": f"billing.{kind}",
        "tenant": TENANT,
        "time": time,
        "data": dict(data),
    }


def usage_lines(trace: pl.DataFrame, name: str) -> bytes:
    """A trace (TIMESTAMP, ContextTokens, GeneratedTokens; all read as text) as NDJSON.

    An event's id is the trace's name and the row's number, so that a second demo meets only duplicates.
    """
    # The traces carry seven decimals of a second, always ending in 0: nothing is lost at microseconds.
    instant = pl.col("TIMESTAMP").str.slice(0, 26).str.replace(" ", "T", literal=True) + "Z"
    row = pl.int_range(1, pl.len() + 1).cast(pl.String)
    line = pl.format(
        '{{"data":{{"context_tokens":{},"generated_tokens":{}}},"id":"{}-{}","source":"{}",'
        '"specversion":"1.0","subject":"{}","tenant":"{}","time":"{}","type":"llm.request"}}\n',
        "ContextTokens",
        "GeneratedTokens",
        pl.lit(name),
        row,
        pl.lit(SOURCE),
        pl.lit(TRACES[name]),
        pl.lit(TENANT),
        instant,
    )
    return str(trace.select(line.str.join("")).item()).encode()


def landing_files(traces: Mapping[str, pl.DataFrame]) -> list[DemoFile]:
    """Everything northwind-ai lands; ``traces`` maps a trace's name to its rows."""
    files = [DemoFile(TENANT, "billing.ndjson", ndjson(billing_events() + cost_events()))]
    files += [DemoFile(TENANT, f"{name}.ndjson", usage_lines(trace, name)) for name, trace in sorted(traces.items())]
    return files


def split_deliveries(files: Iterable[DemoFile], count: int) -> tuple[list[DemoFile], list[bytes]]:
    """The files without the last ``count`` events of code-assistant's trace, and those events, as they are sent over
    HTTP: together they are what the files hold."""
    landed: list[DemoFile] = []
    sent: list[bytes] = []
    for file in files:
        if file.name != f"{_SENT}.ndjson":
            landed.append(file)
            continue
        lines = file.content.splitlines(keepends=True)
        landed.append(DemoFile(file.tenant, file.name, b"".join(lines[:-count])))
        sent = [line.rstrip(b"\n") for line in lines[-count:]]
    return landed, sent
