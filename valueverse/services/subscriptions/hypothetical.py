"""Billing events that nobody has delivered, on top of a tenant's log: what would be, if they were."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.catalog import CatalogHistory
from valueverse.errors import RefusalError
from valueverse.events import load_exact_json, plain_numbers
from valueverse.services.subscriptions.billing_log import judged_event, named_event
from valueverse.subscriptions import build_timeline

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from valueverse.services.subscriptions.billing_log import BillingLog

MOST = 100
"""Hypothetical events of one question."""


def read_events(path: Path) -> list[Any]:
    """The lines of an NDJSON file, one event each.

    Raises:
        RefusalError: ``unreadable_file``; ``malformed`` with the line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RefusalError("unreadable_file", f"{path}: {error}", "--events") from error
    found = []
    for place, line in enumerate(lines):
        if line.strip():
            try:
                found.append(plain_numbers(load_exact_json(line)))
            except RefusalError as refusal:
                raise RefusalError(refusal.code, refusal.message, f"{path}:{place + 1}") from refusal
    return found


def with_events(log: BillingLog, events: Sequence[Any], moment: datetime) -> BillingLog:
    """The log as if these events (CloudEvents, as a file would hold them) were received at ``moment``, in this order.

    An event that the log holds already changes nothing.

    Raises:
        RefusalError: ``too_many_events``; ``conflict`` with an event of the same key; what ingestion or billing would
            refuse; ``path`` begins with the event's place, as in ``events[0].data.plan``.
    """
    if len(events) > MOST:
        raise RefusalError("too_many_events", f"at most {MOST} events are previewed at once", "events")
    after = log
    for place, event in enumerate(events):
        try:
            after = _with(after, event, moment)
        except RefusalError as refusal:
            path = f"events[{place}].{refusal.path}".rstrip(".")
            raise RefusalError(refusal.code, refusal.message, path, refusal.suggestion) from refusal
    return after


def _with(log: BillingLog, event: Any, moment: datetime) -> BillingLog:
    if not isinstance(event, dict) or not str(event.get("type")).startswith("billing."):
        raise RefusalError("not_a_billing_event", "a billing event is expected here: docs/events.md lists them")
    stated = event.get("tenant", log.tenant)
    if stated != log.tenant:
        raise RefusalError("other_tenant", f"the events are of the tenant {log.tenant!r} alone", "tenant")
    row = judged_event(event | {"tenant": log.tenant}, log.tenant, moment)
    known = log.find(row["source"][0], row["id"][0])
    if known is None:
        after = log.plus(row)
        _refuse_rejected(after, row["source"][0], row["id"][0])
        return after
    if any(known[name] != row[name][0] for name in ("type", "time", "replaces")) or (
        json.loads(known["data"] or "null") != json.loads(row["data"][0] or "null")
    ):
        raise RefusalError("conflict", f"the {named_event(known)} was received with other content: take a new id", "id")
    return log


def _refuse_rejected(after: BillingLog, source: str, key: str) -> None:
    facts = after.facts()
    history = CatalogHistory.from_facts(facts)
    timeline = build_timeline(facts, history.plans, None)
    rejected = pl.concat([timeline.rejected, history.rejected.select(timeline.rejected.columns)])
    mine = rejected.filter(pl.col("source") == source, pl.col("event_id") == key)
    for row in mine.head(1).iter_rows(named=True):
        raise RefusalError(row["reason"], row["message"])
