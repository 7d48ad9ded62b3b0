"""An invoice's lines down to their events, and an event up to its lines."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from tests.support.ledger import World, instant
from tests.support.warehouse_billing import (
    NOVEMBER,
    acme,
    rows,
    run,
    store,
)
from valueverse.errors import RefusalError
from valueverse.platform.lake import Lake
from valueverse.platform.stores.event_store import EventStore
from valueverse.platform.warehouse import connect
from valueverse.services.billing.explain import explain_invoice
from valueverse.services.billing.explain_event import explain_event
from valueverse.services.billing.explanations import event_in_sentences, invoice_in_sentences
from valueverse.services.billing.run_billing import bill
from valueverse.services.lake_tables import EVENTS_TABLE

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration


def test_an_invoice_explains_itself_down_to_its_events_and_an_event_up_to_its_line(settings: Settings) -> None:
    world = acme(2)
    run(world, settings, as_of=instant("2023-12-20T00:00:00+00:00"))
    world.use("2023-11-07", "tokens", "250", customer="c0", received_at=instant("2023-12-25"))
    world.use("2023-11-20", "tokens", "1", customer="nobody")
    run(world, settings)
    lake = Lake(settings.lake_url)
    with connect(settings, "builder") as connection:
        explained = explain_invoice(connection, lake, "acme-000001", "usage", 5)
        (line,) = explained["lines"]
        assert (line["reproduced"], line["event_count"], [one["id"] for one in line["events"]]) == (True, 1, ["u0"])
        (first,) = explain_event(EventStore(connection), lake, "test", "u0", None)
        assert [one["invoice"] for one in first["lines"]] == ["acme-000001"]
        (words,) = invoice_in_sentences(connection, lake, "acme-000001", "usage", 5).lines
        assert words[1] == line
        assert words[0].result == ["Changed since, by 2.50 USD: on acme-000003 (finalised, issued 2024-01-02)."]
        later = invoice_in_sentences(connection, lake, "acme-000003", None, 5)
        assert later.heading.startswith("acme-000003: 12.50 USD for c0, 2023-12-01 to 2023-12-31, finalised")
        (adjusted,) = (one for one, data in later.lines if data["kind"] == "adjustment")
        assert adjusted.sentences == [
            "Changes invoice acme-000001, issued 2023-12-02, for 2023-11-01 to 2023-11-30.",
            (
                "Billed before: 1.00 USD (100 of 1 event). Due as known now: 3.50 USD (350 of 2 events). "
                "The difference is 2.50 USD more."
            ),
            "1 event came late, received 2023-12-25T00:00:00Z.",
        ]
        (data,) = (data for _, data in later.lines if data["kind"] == "adjustment")
        assert (data["correction"]["changes"], data["correction"]["causes"]) == ({"late": 1}, [])
        assert [(one["id"], one["change"]) for one in data["events"]] == [("u2", "late")]
        assert later.totals[-1] == ("Amount due", "12.50 USD")
        (late,) = explain_event(EventStore(connection), lake, "test", "u2", "acme")
        assert event_in_sentences(late)[1:] == [
            "It is part of a correction of usage by 2.50 USD on acme-000003 (finalised)."
        ]
        assert event_in_sentences(first)[1] == "It is counted in usage, 1.00 USD in all, on acme-000001 (finalised)."
        assert [(one["invoice"], one["kind"]) for one in late["lines"]] == [("acme-000003", "adjustment")]
        (stray,) = explain_event(EventStore(connection), lake, "test", "u3", None)
        assert (stray["outcome"], stray["reason"]) == ("unbilled", "no_subscription")
        assert event_in_sentences(stray)[1] == (
            "No line bills it, no_subscription: the customer has none, or no event creates the customer."
        )
        for ask, code in (
            (lambda: explain_invoice(connection, lake, "acme-000099", None, 5), "unknown_invoice"),
            (lambda: explain_invoice(connection, lake, "acme-000001", "nosuch", 5), "unknown_line"),
            (lambda: explain_event(EventStore(connection), lake, "test", "nosuch", None), "unknown_event"),
        ):
            with pytest.raises(RefusalError) as refused:
                ask()
            assert refused.value.code == code
        named = {"v1": ("used", "gone"), "v2": ("used", "u0"), "v3": ("billing.subscription.ended", "u0")}
        events = lake.scan(EVENTS_TABLE).collect()
        kinds, replaced = ([one[place] for one in named.values()] for place in (0, 1))
        more = [pl.Series("id", list(named)), pl.Series("type", kinds), pl.Series("replaces", replaced)]
        lake.overwrite(EVENTS_TABLE, pl.concat([events, events.head(3).with_columns(*more)]))
        found = {key: explain_event(EventStore(connection), lake, "test", key, None)[0] for key in named}
        assert {key: one.get("awaits") for key, one in found.items()} == {"v1": "gone", "v2": None, "v3": "u0"}
        assert event_in_sentences(found["v2"])[1] == "It voids the event u0."


def test_usage_that_names_none_of_two_subscriptions_is_among_the_events_of_neither(settings: Settings) -> None:
    world = acme(1)
    world.start("2023-11-01", subscription="t0", customer="c0")
    for subscription in ("s0", "s0", "t0"):
        world.use("2023-11-06", "tokens", "10", customer="c0", subscription=subscription)
    run(world, settings)
    with connect(settings, "builder") as connection:
        found = {}
        for number in ("acme-000001", "acme-000002"):
            (line,) = explain_invoice(connection, Lake(settings.lake_url), number, "usage", 5)["lines"]
            assert line["reproduced"], line
            found[number] = [one["id"] for one in line["events"]]
    assert sorted(found.values()) == [["u1", "u2"], ["u3"]]


def test_threshold_invoices_count_their_period_so_far_and_a_plan_that_ended_gives_its_fee_back(
    settings: Settings,
) -> None:
    meter = {"key": "toks", "event_type": "used", "aggregation": "sum", "value": "n", "unit": "tokens"}
    price = {"model": "graduated", "tiers": [{"up_to": "100", "unit": "1"}, {"up_to": None, "unit": "0.5"}]}
    charge = {"key": "usage", "meter": "toks", "included": "10", "minimum": "5", "price": price}
    plan = {"key": "pro", "period": {"align": "calendar"}, "charges": [charge], "threshold": "50"}
    capacity = {"model": "capacity", "tiers": [{"limits": {"toks": "10"}, "amount": "7"}, {"amount": "9"}]}
    hours = {"model": "bucketed", "every": "hour", "price": {"model": "standard", "unit": "1"}}
    load = {"key": "load", "meter": "load", "price": hours}
    others = [
        {
            "key": key,
            "period": plan["period"],
            "charges": [{"key": "held", "price": capacity}, load],
            "fees": [{"key": "base", "amount": amount}],
            **committed,
        }
        for key, amount, committed in (("small", "10", {}), ("large", "20", {"commitment": {"minimum": "500"}}))
    ]
    world = World(
        {"currency": "USD", "meters": [meter, meter | {"key": "load", "event_type": "load"}], "plans": [plan, *others]}
    )
    world.start("2023-11-01")
    world.start("2023-11-01", subscription="s2", plan="small")
    world.record("subscription.changed", "2023-11-16", {"subscription": "s2", "plan": "large"})
    for day, value in (("05", "90"), ("06", "5"), ("15", "77"), ("20", "3")):
        world.use(f"2023-11-{day}", "toks", value, subscription="s1")
    world.use("2023-11-20", "toks", "4", subscription="s2")
    run(world, settings, as_of=instant("2023-12-20"))
    lake = Lake(settings.lake_url)
    with connect(settings, "builder") as connection:
        numbers = [row[0] for row in rows(settings, "select number from billing.invoice order by sequence")]
        found = [line for number in numbers for line in invoice_in_sentences(connection, lake, number, None, 9).lines]
    counted = [(words, data) for words, data in found if data["key"] == "usage"]
    assert [data["reproduced"] for _, data in counted] == [True] * 3
    assert [[event["id"] for event in data["events"]] for _, data in counted] == [
        ["u0"], ["u0", "u1", "u2"], ["u0", "u1", "u2", "u3"],
    ]  # fmt: skip
    first, second, closing = (words for words, _ in counted)
    assert first.result == ["After the price, in this order: at least 5.00 USD, due only when the period ends."]
    assert second.sentences[:2] == [
        "172 tokens: the sum of 'n' of 3 used events, 2023-11-01 to 2023-11-15.",
        "10 are included, all of them are used; 162 are priced.",
    ]
    assert second.result[1] == "Less 80.00 USD that acme-000002 billed before at a threshold, for 90 tokens of 1 event."
    assert closing.result[2].endswith("acme-000003 billed before at a threshold, for 82 tokens of 2 events.")
    before, after = (words for words, data in found if data["key"] == "held")
    assert before.sentences[0] == "From 0 events of toks, 2023-11-01 to 2023-11-15."
    assert (after.sentences[0], after.tiers) == (
        "4 toks, from 1 event, 2023-11-16 to 2023-11-30.", [("up to 10 toks", "7.00 USD")],
    )  # fmt: skip
    by_hour = [words.tiers for words, data in found if data["key"] == "load"]
    assert by_hour == [[("360 hours, 0 with usage", "0.00 USD")]] * 2
    fees = [words.sentences for words, data in found if data["kind"] == "fee" and words.amount.startswith("\u2212")]
    assert fees == [
        [
            "Fee of plan small: 10.00 USD a month, billed at the start of the period, for 2023-11-16 to 2023-11-30.",
            "It was billed before; the days on which the plan did not hold are given back.",
        ]
    ]
    (shortfall,) = (words for words, data in found if data["kind"] == "minimum")
    assert shortfall.sentences[0].startswith("What fees and charges lack of the commitments of this period's plans")


def test_corrections_of_a_corrected_and_of_a_void_invoice_say_on_what_they_build(settings: Settings) -> None:
    world = acme(1)
    world.record("customer.created", "2023-01-01", {"customer": "c0"})
    lake = store(world, settings)

    def invoices_of(as_of: str, last: date) -> list[str]:
        found = bill(settings, store(world, settings), NOVEMBER, last, as_of=instant(as_of), run_id="t").invoices
        return found.filter(pl.col("number").is_not_null())["number"].to_list()

    assert invoices_of("2023-12-10", date(2023, 12, 10)) == ["acme-000001"]
    world.use("2023-11-07", "tokens", "50", customer="c0", received_at=instant("2023-12-25"))
    world.use("2023-12-07", "tokens", "1", customer="c0", received_at=instant("2023-12-31"))
    assert invoices_of("2024-01-10", date(2024, 1, 10)) == ["acme-000002"]
    world.use("2023-11-08", "tokens", "25", customer="c0", received_at=instant("2024-01-25"))
    late = instant("2024-01-24")
    world.record("customer.updated", "2023-11-29", {"customer": "c0", "country": "FR"}, received_at=late)
    world.record("customer.updated", "2023-11-29", {"customer": "c0", "name": "C"}, received_at=late)
    world.record("tenant.updated", "2023-11-29", {"grace": "2 days"}, received_at=late)
    world.record("coupon.applied", "2023-11-29", {"customer": "c0", "coupon": "nosuch"}, received_at=late)
    world.record("customer.updated", "2024-01-24", {"customer": "c0", "name": "D"})
    assert invoices_of("2024-02-10", date(2024, 2, 10)) == ["acme-000003"]
    world.record("invoice.voided", "2024-02-20", {"invoice": "acme-000001", "reason": "wrong"})
    assert invoices_of("2024-03-10", date(2024, 3, 10)) == ["acme-000004", "acme-000005"]
    with connect(settings, "builder") as connection:
        found = {
            number: [
                words
                for words, data in invoice_in_sentences(connection, lake, number, None, 5).lines
                if data["key"] == "usage"
            ]
            for number in ("acme-000002", "acme-000003", "acme-000004", "acme-000005")
        }
    second, third, fourth = (
        one for lines in found.values() for one in lines if one.title.startswith("Correction of usage")
    )
    changed = "Changes invoice acme-000001, issued 2023-12-02, for 2023-11-01 to 2023-11-30."
    assert second.sentences == [
        changed,
        (
            "Billed before: 1.00 USD (100 of 1 event). Due as known now: 1.50 USD (150 of 2 events). "
            "The difference is 0.50 USD more."
        ),
        "1 event came late, received 2023-12-25T00:00:00Z.",
    ]
    assert third.sentences == [
        changed,
        (
            "Billed before on acme-000001 and acme-000002: 1.50 USD (150 of 2 events). Due as known now: 1.75 USD (175 "
            "of 3 events). The difference is 0.25 USD more."
        ),
        "1 event came late, received 2024-01-25T00:00:00Z.",
        "Billing events received since: billing.customer.updated 'b3' (2024-01-24T00:00:00Z).",
    ]
    assert (fourth.title, fourth.sentences) == (
        "Correction of usage: usage received, amended or voided since",
        [
            changed,
            "That invoice is void: what other invoices had billed of it is taken back.",
            (
                "Billed before on acme-000002 and acme-000003: 0.75 USD (75 of 2 events). Due as known now: 0.00 USD "
                "(0 of 0 events). The difference is 0.75 USD less."
            ),
        ],
    )


def test_an_amendment_that_changes_nothing_says_so_where_its_invoice_was_corrected_for_another_line(
    settings: Settings,
) -> None:
    meter = {"event_type": "used", "aggregation": "sum", "value": "n", "dimensions": ["region"]}
    cells = {"model": "matrix", "dimensions": ["region"], "cells": [{"region": "eu", "unit": "2"}], "default_unit": "1"}
    prices = {"calls": {"model": "standard", "unit": "1"}, "toks": cells}
    charges = [{"key": key, "meter": key, "price": price} for key, price in prices.items()]
    plan = {"key": "pro", "period": {"align": "calendar"}, "charges": charges}
    world = World({"currency": "USD", "meters": [meter | {"key": one["key"]} for one in charges], "plans": [plan]})
    world.start("2023-11-01")
    for one in ("calls", "toks"):
        world.use("2023-11-05", one, "5")
    run(world, settings, as_of=instant("2023-12-20"))
    later = instant("2023-12-25")
    world.usage[0]["known_until"] = later
    world.use("2023-11-05", "calls", "5", root_id="u0", received_at=later)
    world.use("2023-11-06", "toks", "1", received_at=later)
    run(world, settings)
    lake = Lake(settings.lake_url)
    amended = [pl.when(pl.col("id") == "u2").then(pl.lit("u0")).otherwise("replaces").alias("replaces")]
    lake.overwrite(EVENTS_TABLE, lake.scan(EVENTS_TABLE).with_columns(*amended, data=pl.lit("{}")).collect())
    with connect(settings, "builder") as connection:
        found = [explain_event(EventStore(connection), lake, "test", key, None)[0] for key in ("u0", "u1", "u2", "u3")]
        later = invoice_in_sentences(connection, lake, "acme-000002", "toks", 5).lines
    (line,) = (one for one, data in later if data["kind"] == "adjustment")
    assert [event_in_sentences(one)[1:] for one in found] == [
        ["No line bills it, superseded: replaced by the event u2, received 2023-12-25T00:00:00Z."],
        ["It is counted in toks, 5.00 USD in all, on acme-000001 (finalised)."],
        [
            "It amends the event u0.",
            "It was received after acme-000001 was made. It is counted and changes no amount, so no line shows it.",
        ],
        ["It is part of a correction of toks by 1.00 USD on acme-000002 (finalised)."],
    ]
    assert [one.get("replaced_at") for one in found] == ["2023-12-25T00:00:00Z", None, None, None]
    assert line.tiers == [
        ("before: 5 without region at 1.00 each", "5.00 USD"),
        ("now: 6 without region at 1.00 each", "6.00 USD"),
    ]


EVENT = {
    "source": "test", "type": "used", "time": "2024-01-01T00:00:00Z", "received_at": "2024-01-02T00:00:00Z",
    "file": "acme/a.ndjson", "line": 7, "amends": None, "conflicts": [],
}  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "sentences"),
    [
        (
            {"outcome": "quarantined", "message": "'time' is missing", "reason": "bad_time"},
            ["It was not taken from acme/a.ndjson line 7: 'time' is missing (bad_time)."],
        ),
        (
            {"outcome": "rejected", "message": "there is no plan 'gold'", "reason": "unknown_plan"},
            ["It could not be applied: there is no plan 'gold' (unknown_plan)."],
        ),
        (
            {"outcome": "billing_event"},
            ["It is a billing event and was applied: it is no usage, so no line counts it."],
        ),
        *(
            (
                {"outcome": "billing_event", "replaced_by": {"id": "v1", "received_at": "T", "voids": voids}},
                [f"It is a billing event that counts no more: {done} by the event v1, received T."],
            )
            for voids, done in ((True, "voided"), (False, "replaced"))
        ),
        *(
            (
                {"amends": "u0", "awaits": "u0", "voids": voids} | outcome,
                [
                    (
                        f"It {done} the event u0 of source test, which is not known: nothing has changed. If that "
                        f"event is received, this one {then}; check the id in 'replaces'."
                    )
                ],
            )
            for voids, done, then, outcome in (
                (True, "voids", "voids it", {"outcome": "billing_event"}),
                (True, "voids", "voids it", {"outcome": "unbilled", "reason": "void"}),
                (False, "amends", "takes its place", {"outcome": "unbilled", "reason": "awaiting_original"}),
            )
        ),
        (
            {"outcome": "unbilled", "reason": "no_value"},
            ["No line bills it, no_value: the field that its meter reads is missing, or holds no number in range."],
        ),
        (
            {"outcome": "unbilled", "reason": "not_derived_yet"},
            ["No run has derived its usage yet: the next run does."],
        ),
        (
            {"outcome": "billed", "lines": [], "changes_nothing_of": "acme-000001"},
            [("It was received after acme-000001 was made. It is counted and changes no amount, so no line shows it.")],
        ),
        ({"outcome": "billed", "lines": []}, ["It is billed when its period closes: no invoice has its line yet."]),
        (
            {
                "outcome": "unbilled",
                "reason": "superseded",
                "amends": "u1",
                "voids": False,
                "conflicts": ["conflict"],
                "replaced_at": "T",
                "replaced_by": {"id": "v1", "received_at": "T", "voids": True},
            },
            [
                "It amends the event u1.",
                "1 more with this id and other content was quarantined.",
                "No line bills it, superseded: voided by the event v1, received T.",
            ],
        ),
        (
            {"outcome": "unbilled", "reason": "superseded", "conflicts": ["conflict"] * 2}
            | {"replaced_by": {"id": "v1", "received_at": "T", "voids": False}},
            [
                "2 more with this id and other content were quarantined.",
                "No line bills it, superseded: replaced by the event v1, received T.",
            ],
        ),
        (
            {"outcome": "unbilled", "reason": "void", "amends": "u1", "voids": True},
            [
                "It voids the event u1.",
                "No line bills it, void: what voids another event counts nothing itself.",
            ],
        ),
    ],
)
def test_what_became_of_an_event_is_put_in_sentences(answer: dict[str, Any], sentences: list[str]) -> None:
    found = event_in_sentences(EVENT | answer)
    received = "Of type used, 2024-01-01T00:00:00Z; received 2024-01-02T00:00:00Z from acme/a.ndjson line 7."
    assert found == (sentences if answer["outcome"] == "quarantined" else [received, *sentences])
    if answer["outcome"] != "quarantined":
        assert event_in_sentences(EVENT | answer | {"file": None})[0] == received.replace(
            " from acme/a.ndjson line 7", ""
        )
