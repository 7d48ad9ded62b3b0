"""What became of an event: the line that bills it, or the reason why none does; that it waits, or was not taken."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.dates import utc_text
from valueverse.errors import RefusalError
from valueverse.invoicing import OF_CLOSE, BilledRows, account_usage, usage_by_charge
from valueverse.invoicing.rendering import DisplayNames
from valueverse.schemas.invoicing import UNCHANGED_INVOICES
from valueverse.services.billing.billing_state import closed_periods
from valueverse.services.billing.explained_corrections import context_of
from valueverse.services.ingestion.waiting_events import no_texts, waiting_batches, waiting_events
from valueverse.services.lake_tables import EVENTS_TABLE, QUARANTINE_TABLE, USAGE_TABLE

if TYPE_CHECKING:
    from datetime import datetime

    from valueverse.platform.lake import Lake
    from valueverse.platform.stores.event_store import EventStore
    from valueverse.services.ingestion.waiting_events import SentTexts


def explain_event(
    store: EventStore, lake: Lake, source: str, event: str, tenant: str | None, sent: SentTexts = no_texts
) -> list[dict[str, Any]]:
    """The outcome of an event, one answer per tenant that sent one of this key, or per line that was
    quarantined, the newest last; ``tenant``: of this one alone; ``sent``: reads what waits in a topic.

    Raises:
        RefusalError: ``unknown_event``: it was never received; ``kafka_unavailable``: it waits there, and cannot be
            read.
    """
    key = [pl.col("source") == source, pl.col("id") == event]
    if tenant is not None:
        key.append(pl.col("tenant") == tenant)
    senders = store.senders() if tenant is None else [tenant]
    batches = {one: waiting_batches(store, one, source, event) for one in senders}
    accepted = lake.scan(EVENTS_TABLE).filter(key).collect()
    refused = lake.scan(QUARANTINE_TABLE).filter(key).sort("received_at", "file", "line").collect()
    rows = {row["tenant"]: row for row in accepted.iter_rows(named=True)}
    waiting = {one: waiting_events(found, one, source, event, rows.get(one), sent) for one, found in batches.items()}
    answers = [
        _accepted(store, lake, row, refused.filter(pl.col("tenant") == one)) | _waits(waiting.get(one))
        for one, row in rows.items()
    ]
    strays = refused.join(accepted.select("tenant").unique(), on="tenant", how="anti")
    answers += [
        {
            "tenant": row["tenant"],
            "source": source,
            "id": event,
            "outcome": "quarantined",
            "reason": row["reason"],
            "message": row["message"],
            "file": row["file"],
            "line": row["line"],
        }
        | _waits(waiting.get(row["tenant"]))
        for row in strays.iter_rows(named=True)
    ]
    known = {answer["tenant"] for answer in answers}
    answers += [
        {"tenant": one, "source": source, "id": event, "outcome": "waiting", "waiting": found}
        for one, found in waiting.items()
        if found and one not in known
    ]
    if not answers:
        raise RefusalError(
            "unknown_event",
            f"no event {event!r} of source {source!r} was received; check both, and the landing folder",
            "ID",
        )
    return answers


def _waits(found: list[dict[str, Any]] | None) -> dict[str, Any]:
    return {"waiting": found} if found else {}


def _accepted(store: EventStore, lake: Lake, row: dict[str, Any], refused: pl.DataFrame) -> dict[str, Any]:
    shown_event = {
        "tenant": row["tenant"],
        "source": row["source"],
        "id": row["id"],
        "type": row["type"],
        "time": utc_text(row["time"]),
        "received_at": utc_text(row["received_at"]),
        "file": row["file"],
        "line": row["line"],
        "amends": row["replaces"],
        "conflicts": refused["reason"].to_list(),
    }
    if row["replaces"] is not None:
        shown_event["voids"] = row["data"] is None
    if row["replaces"] is not None and not _is_known(lake, row):
        shown_event["awaits"] = row["replaces"]
    if row["type"].startswith("billing."):
        amendment = _amendment(lake, row)
        if amendment:
            return shown_event | {"outcome": "billing_event", "replaced_by": amendment}
        rejection = store.rejection(row["tenant"], row["source"], row["id"])
        return shown_event | ({"outcome": "rejected", **rejection} if rejection else {"outcome": "billing_event"})
    context = context_of(lake, row["tenant"], None)
    usage = lake.scan(USAGE_TABLE, [row["event_date"]]).filter(
        pl.col("tenant") == row["tenant"], pl.col("source") == row["source"], pl.col("id") == row["id"]
    ).collect()  # fmt: skip
    around = (row["tenant"], row["time"])
    unchanged = store.unchanged(*around)
    known = unchanged.group_by("tenant", "invoice_id").agg(pl.col("events_known_at").max())
    rows = BilledRows(store.invoices(*around), store.corrections(*around), unchanged=UNCHANGED_INVOICES.conform(known))
    booked = closed_periods(rows)
    judged = account_usage(usage, context.segments, context.timeline.segments, booked, context.terms)
    outcome = judged["outcome"][0] if judged.height else "not_derived_yet"
    charged = usage_by_charge(usage, context)
    lines = _bearing(store, row["tenant"], charged) if outcome == "billed" else []
    lines = _differing(lines, lake, usage, rows, charged)
    shown: dict[str, Any] = {"outcome": "unbilled", "reason": outcome}
    if outcome == "billed":
        shown = {"outcome": "billed", "lines": lines}
        if not lines and (number := _unchanged(unchanged, charged) or _made_before(rows, charged)):
            shown["changes_nothing_of"] = number
    replaced = usage["known_until"].drop_nulls()
    if replaced.len():
        shown["replaced_at"] = utc_text(replaced[0])
        if amendment := _amendment(lake, row):
            shown["replaced_by"] = amendment
    return shown_event | shown


def _is_known(lake: Lake, row: dict[str, Any]) -> bool:
    """Whether the event that this one amends was received: billing events amend billing events."""
    billing = pl.col("type").str.starts_with("billing.")
    kinds = [billing] if row["type"].startswith("billing.") else []
    original = [pl.col(name) == row[name] for name in ("tenant", "source")] + [pl.col("id") == row["replaces"]]
    return not lake.scan(EVENTS_TABLE).filter(*original, *kinds).head(1).collect().is_empty()


def _amendment(lake: Lake, row: dict[str, Any]) -> dict[str, Any] | None:
    """The event that took the place of this one: the first that amends it, or the next that amends what it amends."""
    order = ["received_at", "time", "id"]
    amends = [pl.col("replaces") == row["id"]]
    if row["replaces"] is not None:
        later = pl.col("id") > row["id"]
        for name in ("time", "received_at"):
            later = (pl.col(name) > row[name]) | ((pl.col(name) == row[name]) & later)
        amends.append((pl.col("replaces") == row["replaces"]) & later)
    own = pl.col("tenant") == row["tenant"], pl.col("source") == row["source"], pl.col("id") != row["id"]
    found = lake.scan(EVENTS_TABLE).filter(*own, pl.any_horizontal(amends)).sort(order).head(1).collect()
    for one in found.iter_rows(named=True):
        return {"id": one["id"], "received_at": utc_text(one["received_at"]), "voids": one["data"] is None}
    return None


def _unchanged(unchanged: pl.DataFrame, charged: pl.DataFrame) -> str | None:
    """The finalised invoice that what these charges assigned came too late for, and changes no amount of."""
    named = charged.select("tenant", pl.col("held_by").alias("subscription"), "received_at")
    found = unchanged.join(named, on=["tenant", "subscription"]).filter(
        pl.col("events_known_at") >= pl.col("received_at")
    )
    return next(iter(found.sort("events_known_at", "sequence")["number"]), None)


def _made_before(rows: BilledRows, charged: pl.DataFrame) -> str | None:
    """The finalised invoice of the period that these charges assigned to, made before they were received."""
    named = charged.select("tenant", pl.col("held_by").alias("subscription"), "time", "received_at")
    inside = (pl.col("time") >= pl.col("period_from")) & (pl.col("time") < pl.col("period_to"))
    closing = rows.not_voided.filter("is_final", pl.col("invoice_type").is_in(OF_CLOSE))
    found = closing.join(named, on=["tenant", "subscription"]).filter(inside)
    earlier = found.filter(pl.col("events_known_at") < pl.col("received_at"))
    return next(iter(earlier.sort("sequence")["number"]), None)


def _differing(
    lines: list[dict[str, Any]], lake: Lake, usage: pl.DataFrame, rows: BilledRows, charged: pl.DataFrame
) -> list[dict[str, Any]]:
    """These lines without corrections that other events made: an event makes one that was received since what was
    booked before, or that another line counted then."""
    found = []
    received: list[datetime] = charged["received_at"].to_list()
    for line in lines:
        known = _booked_before(rows, line, charged["held_by"]) if line["kind"] == "adjustment" else None
        if known is not None and max(received) <= known:
            before = usage_by_charge(usage, context_of(lake, usage["tenant"][0], known))
            if line["line"] in before["key"]:
                continue
        found.append(line)
    return found


def _booked_before(rows: BilledRows, line: dict[str, Any], subscriptions: pl.Series) -> datetime | None:
    """The state of knowledge that an adjustment line of these subscriptions started from; None: it takes back what a
    void invoice held."""
    own = rows.invoices.filter(pl.col("number").eq_missing(line["invoice"]))
    corrected = rows.lines.filter(
        pl.col("invoice_id").is_in(own["invoice_id"].implode()), pl.col("key") == line["line"]
    )
    mine = rows.invoices.filter(pl.col("subscription").is_in(subscriptions.implode())).select(
        "tenant", corrected_invoice_id="invoice_id"
    )
    ids = corrected.join(mine, on=["tenant", "corrected_invoice_id"])["corrected_invoice_id"]
    others = rows.lines.filter(pl.col("corrected_invoice_id").is_in(ids.implode()))["invoice_id"]
    family = rows.invoices.filter("is_final", pl.col("invoice_id").is_in(pl.concat([ids, others]).implode()))
    if family.filter(pl.col("invoice_id").is_in(ids.implode()))["voided_at"].drop_nulls().len():
        return None
    earlier = family.filter(pl.col("sequence") < own["sequence"].max()) if own["is_final"].all() else family
    known: list[datetime] = earlier["events_known_at"].to_list()
    return max(known, default=None)


def _bearing(store: EventStore, tenant: str, charged: pl.DataFrame) -> list[dict[str, Any]]:
    """Invoice lines that bill what these charges assigned: those of the period, and adjustments of it."""
    found = [
        line
        for row in charged.iter_rows(named=True)
        for line in store.lines(tenant, row["held_by"], row["key"], row["time"], row["received_at"])
    ]
    for row in found:
        names = DisplayNames(json.loads(row.pop("catalog") or "null"), "en")
        row["name"] = names.label(row["line"], row["line"])
    return found
