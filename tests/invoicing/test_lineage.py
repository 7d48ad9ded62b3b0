"""From a line to the events that made it, and from an event to the charge that takes it."""

from __future__ import annotations

from typing import Any

import polars as pl

from tests.support.ledger import World, instant
from valueverse.invoicing.billing_context import BillingContext, build_billing_context
from valueverse.invoicing.lineage import changed_events, line_events, usage_by_charge
from valueverse.schemas.invoicing import INVOICE

METER = {"key": "tokens", "event_type": "used", "aggregation": "sum", "value": "n", "dimensions": ["model"]}
UNIT = {"model": "standard", "unit": "1"}
LARGE, SMALL = '{"model":"large"}', '{"model":"small"}'


def world() -> World:
    charges = [
        {"key": "large", "meter": "tokens", "when": {"model": "large"}, "price": UNIT},
        {"key": "rest", "meter": "tokens", "split_by": ["model"], "price": UNIT},
    ]
    plan = {"key": "pro", "period": {"align": "calendar"}, "charges": charges}
    acme = World({"meters": [METER, METER | {"key": "other"}], "plans": [plan]})
    acme.start("2024-01-01")
    return acme


def context(acme: World, known_at: str | None = None) -> BillingContext:
    moment = None if known_at is None else instant(known_at)
    return build_billing_context(acme.timeline(), acme.history(), acme.usage_frame().lazy(), moment)


def events(acme: World, known_at: str | None = None) -> list[tuple[Any, ...]]:
    """Key, label, id and value of the events behind January's lines."""
    january = acme.bill("2024-01-01", "2024-02-01").invoices.select(*INVOICE, pl.lit("i1").alias("invoice_id"))
    found = line_events(january, context(acme, known_at)).select("key", "label", "id", pl.col("value").cast(pl.Int64))
    return found.rows()


def test_a_line_counts_the_events_of_its_period_in_the_order_of_time() -> None:
    acme = world()
    acme.use("2024-01-20", "tokens", "3", dimensions=LARGE, id="late")
    acme.use("2024-01-05", "tokens", "2", dimensions=LARGE, id="early")
    acme.use("2024-01-01", "tokens", "1", dimensions=LARGE, id="first")
    acme.use("2024-02-01", "tokens", "9", dimensions=LARGE, id="next")
    acme.use("2023-12-31T23:59:59+00:00", "tokens", "9", dimensions=LARGE, id="before")
    assert events(acme) == [("large", "", "first", 1), ("large", "", "early", 2), ("large", "", "late", 3)]


def test_each_line_of_a_split_charge_counts_its_own_events() -> None:
    acme = world()
    acme.use("2024-01-05", "tokens", "2", dimensions=SMALL, id="a")
    acme.use("2024-01-05", "tokens", "4", dimensions='{"model":"tiny"}', id="b")
    acme.use("2024-01-05", "tokens", "8", dimensions=LARGE, id="c")
    assert events(acme) == [("large", "", "c", 8), ("rest", SMALL, "a", 2), ("rest", '{"model":"tiny"}', "b", 4)]


def test_events_without_a_value_of_others_and_not_known_then_are_not_counted() -> None:
    acme = world()
    acme.start("2024-01-01", subscription="s2", customer="c2")
    acme.use("2024-01-05", "tokens", "1", dimensions=LARGE, id="mine")
    acme.use("2024-01-05", "tokens", "2", dimensions=LARGE, id="named", subscription="s1")
    acme.use("2024-01-05", "tokens", "3", dimensions=LARGE, id="another", subscription="s9")
    acme.use("2024-01-05", "tokens", "4", dimensions=LARGE, id="theirs", customer="c2")
    acme.use("2024-01-05", "tokens", None, dimensions=LARGE, id="empty", status="no_value")
    acme.use("2024-01-05", "tokens", "6", dimensions=LARGE, id="later", received_at=instant("2024-03-01"))
    acme.use("2024-01-05", "tokens", "7", dimensions=LARGE, id="gone", known_until=instant("2024-02-10"))
    found = [id_ for _, _, id_, _ in events(acme, "2024-02-02")]
    assert found == ["gone", "mine", "named", "theirs"]
    assert [id_ for _, _, id_, _ in events(acme)] == ["mine", "named", "theirs", "later"]


def test_events_that_came_changed_or_went_between_two_states_of_knowledge_are_found_by_change() -> None:
    acme = world()
    since = {"received_at": instant("2024-02-05")}
    acme.use("2024-01-05", "tokens", "1", dimensions=LARGE, id="same")
    acme.use("2024-01-06", "tokens", "1", dimensions=LARGE, id="a", root_id="a", known_until=instant("2024-02-05"))
    acme.use("2024-01-06", "tokens", "3", dimensions=LARGE, id="b", root_id="a", **since)
    acme.use("2024-01-07", "tokens", "1", dimensions=LARGE, id="gone", known_until=instant("2024-02-04"))
    acme.use("2024-01-08", "tokens", "1", dimensions=SMALL, id="late", **since)
    acme.use("2024-01-09", "tokens", "1", dimensions=LARGE, id="later", received_at=instant("2024-03-01"))
    acme.use("2024-01-31", "tokens", "1", dimensions=LARGE, id="after")
    january = acme.bill("2024-01-01", "2024-02-01", known_at=instant("2024-02-02")).invoices
    known = instant("2024-02-02"), instant("2024-02-10")
    named = january.select(*INVOICE, pl.lit("i1").alias("invoice_id"))
    before, now = (line_events(named, context(acme, moment)) for moment in ("2024-02-02", "2024-02-10"))
    after = now.filter(pl.col("id") != "after")
    found = changed_events(before, after, *known)
    assert found.select("key", "id", "change", "changed_at").rows() == [
        ("large", "b", "amended", instant("2024-02-05")),
        ("large", "gone", "voided", instant("2024-02-04")),
        ("large", "after", "left", None),
        ("rest", "late", "late", instant("2024-02-05")),
    ]
    back = changed_events(after, before, *known)
    assert back.filter(pl.col("id") == "after")["change"].to_list() == ["joined"]


def test_an_event_is_taken_by_the_charge_of_the_subscription_that_holds_then() -> None:
    acme = world()
    acme.record("subscription.ended", "2024-02-01", {"subscription": "s1"})
    for time, id_ in (
        ("2023-12-31", "before"),
        ("2024-01-01", "first"),
        ("2024-01-31T23:59:59+00:00", "last"),
        ("2024-02-01", "after"),
    ):
        acme.use(time, "tokens", "1", dimensions=LARGE, id=id_)
    acme.use("2024-01-05", "tokens", "1", dimensions=SMALL, id="small")
    acme.use("2024-01-05", "other", "1", dimensions=LARGE, id="other")
    acme.use("2024-01-05", "tokens", "1", dimensions=LARGE, id="named", subscription="s1")
    acme.use("2024-01-05", "tokens", "1", dimensions=LARGE, id="another", subscription="s9")
    acme.use("2024-01-05", "tokens", None, dimensions=LARGE, id="empty", status="no_value")
    found = usage_by_charge(acme.usage_frame(), context(acme)).sort("id").select("id", "held_by", "key", "from", "to")
    life = (instant("2024-01-01"), instant("2024-02-01"))
    assert found.rows() == [
        ("first", "s1", "large", *life),
        ("last", "s1", "large", *life),
        ("named", "s1", "large", *life),
        ("small", "s1", "rest", *life),
    ]
