"""Billing events of the lake that no facts follow from yet are read beside the facts, and only those are looked for."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from tests.support.landing import NOW, Harbour, event, founding
from valueverse.platform.lake import Opened
from valueverse.services.lake_tables import EVENTS_TABLE
from valueverse.services.subscriptions.billing_log import read_log
from valueverse.services.usage.derive_usage import derive_facts, facts_of, received_facts, write_facts

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def line(key: str, **more: Any) -> dict[str, Any]:
    stated = {"customer": "c-1", "description": "set-up", "amount": "9", "currency": "EUR"}
    return event(key, stated, type="billing.one_off.added") | more


def in_force(harbour: Harbour, tenant: str = "acme") -> list[str]:
    """Ids of the lines that count."""
    facts = read_log(harbour.lake, harbour.home / "none", tenant, NOW).facts()
    lines = facts.filter(pl.col("type") == "billing.one_off.added", pl.col("known_until").is_null())
    return sorted(lines["id"])


def test_what_the_facts_do_not_have_yet_is_added_and_looked_for_only_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    harbour, searched = Harbour(tmp_path), []
    look = Opened.dates_from

    def dates_from(table: Opened, *given: Any) -> Any:
        searched.append(found := look(table, *given))
        return found

    monkeypatch.setattr(Opened, "dates_from", dates_from)
    for tenant in ("acme", "birch"):
        harbour.land(f"{tenant}/1.ndjson", founding(tenant), line("a"), line("b"))
    harbour.take()
    harbour.land("acme/usage.ndjson", event("early", time="2024-05-02T00:00:00Z"))
    harbour.take(NOW + timedelta(minutes=30))
    derive_facts(harbour.lake)
    assert (in_force(harbour), searched) == (["a", "b"], [])
    for tenant in ("acme", "birch"):
        late = {"time": "2024-05-03T00:00:00Z"}
        harbour.land(f"{tenant}/2.ndjson", line("c", **late), line("void", replaces="a", data=None, **late))
    harbour.take(NOW + timedelta(hours=1))
    assert in_force(harbour) == ["b", "c"]
    assert [[str(day) for day in days] for days in searched] == [["2024-05-02", "2024-05-03"]]
    # One tenant's facts are derived alone where the others' cannot be; usage alone changes no facts.
    log = harbour.lake.open(EVENTS_TABLE)
    write_facts(harbour.lake, facts_of(log, ["birch"]), log, ["birch"])
    searched.clear()
    assert (in_force(harbour, "birch"), searched) == (["b", "c"], [])
    assert (in_force(harbour), len(searched)) == (["b", "c"], 1)
    harbour.land("acme/3.ndjson", event("call"))
    harbour.take(NOW + timedelta(hours=2))
    facts = derive_facts(harbour.lake)
    searched.clear()
    assert received_facts(harbour.lake, "acme").sort("id").equals(facts.filter(pl.col("tenant") == "acme").sort("id"))
    assert searched == []
    # An erasure forgets older versions of the events: their numbers are others then.
    harbour.lake.forget_history(EVENTS_TABLE)
    assert (in_force(harbour), len(searched)) == (["b", "c"], 1)
