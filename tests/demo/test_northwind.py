from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from valueverse.catalog.document import parse_catalog
from valueverse.catalog.prices import Outcome
from valueverse.demo import northwind
from valueverse.value.architect.compiler.program import compile_model
from valueverse.value.architect.document.parsing import parse_model
from valueverse.value.realisation.fees import FeeTerms

DATA = Path(__file__).parents[2] / "data"


@pytest.fixture(scope="module")
def events() -> dict[str, list[dict[str, object]]]:
    traces = {name: pl.read_csv(DATA / f"{name}.csv", infer_schema=False) for name in northwind.TRACES}
    files = {file.name: file.content for file in northwind.landing_files(traces)}
    return {name: [json.loads(line) for line in content.splitlines()] for name, content in files.items()}


@pytest.mark.parametrize(
    ("name", "requests", "context", "generated"),
    [
        ("AzureLLMInferenceTrace_code", 8_819, 18_059_974, 245_896),
        ("AzureLLMInferenceTrace_conv", 19_366, 22_361_870, 4_088_665),
    ],
)
def test_every_request_of_the_trace_becomes_one_event(
    events: dict[str, list[dict[str, object]]], name: str, requests: int, context: int, generated: int
) -> None:
    found = events[f"{name}.ndjson"]
    data = pl.DataFrame([event["data"] for event in found])
    assert len(found) == requests
    assert (data["context_tokens"].sum(), data["generated_tokens"].sum()) == (context, generated)


def test_an_event_is_named_by_its_trace_and_row(events: dict[str, list[dict[str, object]]]) -> None:
    found = events["AzureLLMInferenceTrace_code.ndjson"]
    assert found[0]["id"] == "AzureLLMInferenceTrace_code-1"
    assert found[-1]["id"] == "AzureLLMInferenceTrace_code-8819"
    assert len({event["id"] for event in found}) == len(found)
    assert found[0]["time"] == "2023-11-16T18:17:03.979960Z"


def test_both_customers_are_subscribed_for_november_2023(events: dict[str, list[dict[str, object]]]) -> None:
    started = [event for event in events["billing.ndjson"] if str(event["type"]).endswith("started")]
    assert {event["time"] for event in started} == {"2023-11-01T00:00:00Z"}
    assert {event["data"]["ends_at"] for event in started} == {"2023-12-01T00:00:00Z"}  # type: ignore[index]


def test_the_catalog_bills_the_outcome_of_the_model_that_is_agreed_on() -> None:
    program = compile_model(parse_model(json.dumps(northwind.value_model())))
    (plan,) = parse_catalog(northwind.CATALOG).plans
    (charge,) = [one.price for one in plan.charges if isinstance(one.price, Outcome)]
    assert charge.value_model == program.model == northwind.VALUE_MODEL
    terms = FeeTerms.of(charge, program)
    assert (terms.output, terms.dispute_days, terms.currency) == ("developer_time", 30, "USD")
