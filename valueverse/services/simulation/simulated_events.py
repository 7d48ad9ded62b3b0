"""Which tenant an event belongs to that names none, and what a simulation made of all the events it was given."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl

from valueverse.events import TENANT_KEY
from valueverse.invoicing import BILLED, account_usage, with_terms
from valueverse.schemas.types import INSTANT
from valueverse.subscriptions import LAST_YEAR

if TYPE_CHECKING:
    from collections.abc import Iterator

    from valueverse.catalog import CatalogHistory
    from valueverse.subscriptions import Timeline

DEFAULT_TENANT = "tenant"
"""Tenant of events where none names one."""
_ALWAYS = datetime(LAST_YEAR, 12, 31, tzinfo=UTC)
_MEANING = {"period_open": "period_open (outside of the periods asked for, or received after their close)"}
_BILLING = pl.col("type").str.starts_with("billing.")


def with_tenants(lines: pl.DataFrame) -> tuple[pl.DataFrame, str]:
    """Lines with a tenant each, and a sentence about those that name none ('' where every line names one).

    The one tenant that other lines name is meant; with several the line is refused, and where nobody is named it is
    DEFAULT_TENANT.

    Args:
        lines: PARSED_LINES; ``tenant`` null where neither the line nor its folder names one.
    """
    own = pl.col("type").is_in(["billing.tenant.created", "billing.tenant.updated"]) & pl.col("tenant").is_null()
    stated = pl.when(own).then(pl.col("data").str.json_path_match("$.tenant"))
    lines = lines.with_columns(pl.coalesce("tenant", stated).alias("tenant"))
    good = pl.col("reason").is_null()
    nameless = lines.filter(good, pl.col("tenant").is_null()).height
    names = lines.filter(good, pl.col("tenant").str.contains(TENANT_KEY))["tenant"].unique().sort().to_list()
    meant = names[0] if len(names) == 1 else DEFAULT_TENANT
    if nameless and len(names) > 1:
        listed = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        message = f"the event names no tenant, and others name several ({listed}): add 'tenant' to it"
        unclear = good & pl.col("tenant").is_null()
        values = {"reason": "unknown_tenant", "message": message, "path": "tenant"}
        lines = lines.with_columns(
            pl.when(unclear).then(pl.lit(value)).otherwise(name).alias(name) for name, value in values.items()
        )
        nameless = 0
    why = "the only one that is named" if names else "since none is named"
    sentence = f"{nameless} events name no tenant: they are taken for those of {meant!r}, {why}" if nameless else ""
    return lines.with_columns(pl.col("tenant").fill_null(meant)), sentence


@dataclass
class Tally:
    """The outcomes of the events of a simulation.

    Attributes:
        given: events in the files, or in the lake.
        left_out: by reason, how many and an example: what was not used under any catalog.
    """

    given: int = 0
    left_out: dict[str, tuple[int, str]] = field(default_factory=dict)

    def leave_out(self, reason: str, events: int, example: str) -> None:
        """Count events that are not used."""
        before, first = self.left_out.get(reason, (0, example))
        if events:
            self.left_out[reason] = (before + events, first)

    def also(self) -> Tally:
        """A copy to which what one catalog leaves out is added."""
        return Tally(self.given, dict(self.left_out))

    def sentences(self) -> Iterator[str]:
        """How many events were used, then a line for each reason of those that were not."""
        unused = sum(events for events, _ in self.left_out.values())
        yield f"used {self.given - unused} of {self.given} events"
        for reason, (events, example) in sorted(self.left_out.items(), key=lambda item: (-item[1][0], item[0])):
            yield f"not used: {events} {_MEANING.get(reason, reason)}, e.g. {example}"


def count_usage(
    tally: Tally, usage: pl.DataFrame, timeline: Timeline, history: CatalogHistory, booked: pl.DataFrame
) -> None:
    """Leave out the usage events that no invoice took.

    Args:
        booked: tenant, subscription, period_from, period_to, events_known_at (null: every event counted) of the
            invoices of periods.
    """
    segments, terms = with_terms(timeline, history)
    known = booked.with_columns(pl.col("events_known_at").fill_null(pl.lit(_ALWAYS)).cast(INSTANT))
    outcomes = account_usage(usage, segments, timeline.segments, known, terms).filter(pl.col("outcome") != BILLED)
    counted = outcomes.group_by("outcome").agg(
        pl.len(), pl.col("customer", "meter", "day").sort_by("day", "customer", "meter").first()
    )
    for outcome, events, customer, meter, day in counted.sort("outcome").iter_rows():
        meant = f", meter {meter!r}" if meter else ""
        tally.leave_out(outcome, events, f"customer {customer!r}{meant} on {day}")


def count_billing(tally: Tally, log: pl.DataFrame, facts: pl.DataFrame, rejected: pl.DataFrame) -> None:
    """Leave out the billing events that were void, rejected, or published a catalog."""
    key = ["tenant", "source", "id"]
    billing = log.filter(_BILLING)
    catalogs = pl.col("type") == "billing.catalog.published"
    parts = {
        "catalog_given (the one of the command line holds)": billing.filter(catalogs),
        "void": billing.filter(~catalogs).join(facts, on=key, how="anti"),
    }
    refused = rejected.rename({"event_id": "id"}).unique(key, keep="first", maintain_order=True)
    own = billing.join(refused.select(*key, "reason"), on=key)
    parts |= {str(reason): part for (reason,), part in own.group_by("reason", maintain_order=True)}
    for reason, part in parts.items():
        if not part.is_empty():
            tally.leave_out(reason, part.height, f"{part['type'][0]} {part['id'][0]!r} of source {part['source'][0]!r}")
