from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import Any

import polars as pl
import pytest

from tests.metering.helpers import at, meters, quantities, usage, windows
from valueverse.errors import RefusalError
from valueverse.metering import window_join
from valueverse.metering.quantities import meter_quantities
from valueverse.schemas.types import EXACT, INSTANT

D = Decimal
JANUARY = {"from": at("2026-01-01"), "to": at("2026-02-01")}


def values(*pairs: tuple[str, Any]) -> pl.DataFrame:
    return usage(*({"time": at(time), "value": D(str(value))} for time, value in pairs))


@pytest.mark.parametrize(
    ("aggregation", "expected"),
    [
        ("sum", D("4.5")),
        ("min", D(-2)),
        ("max", D(4)),
        ("avg", D("1.5")),
        ("latest", D(-2)),
        ("count", D("4.5")),
    ],
)
def test_a_window_takes_its_start_and_not_its_end(aggregation: str, expected: Decimal) -> None:
    frame = values(
        ("2025-12-31T23:59:59.999999", 100),
        ("2026-01-01T00:00:00", "2.5"),
        ("2026-01-15T12:00:00", 4),
        ("2026-01-31T23:59:59.999999", -2),
        ("2026-02-01T00:00:00", 100),
    )
    assert quantities(frame, windows(JANUARY), meters(aggregation)) == {(0, ""): (expected, 3)}


def test_windows_that_cut_days_count_each_event_once() -> None:
    frame = values(*((f"2026-01-{day:02d}T{hour:02d}:30:00", 1) for day in range(1, 11) for hour in range(24)))
    cuts = [
        "2026-01-01T00:00",
        "2026-01-01T05:00",
        "2026-01-01T05:30",
        "2026-01-04T23:15",
        "2026-01-09T00:00",
        "2026-01-09T00:30",
        "2026-01-11T00:00",
    ]
    asked = windows(*({"from": at(a), "to": at(b)} for a, b in pairwise(cuts)))
    found = quantities(frame, asked, meters("sum"))
    assert sum(quantity for quantity, _ in found.values()) == 240
    assert {number: count for (number, _), (_, count) in found.items()} == {0: 5, 2: 90, 3: 97, 5: 48}


def test_what_was_known_is_counted_as_it_was_known() -> None:
    frame = usage(
        {
            "time": at("2026-01-05"),
            "value": D(1),
            "received_at": at("2026-01-05"),
            "known_until": at("2026-01-20"),
        },
        {"time": at("2026-01-05"), "value": D(10), "received_at": at("2026-01-20")},
    )
    for known_at, expected in ((at("2026-01-19"), 1), (at("2026-01-20"), 10), (None, 10)):
        assert quantities(frame, windows(JANUARY), meters("sum"), known_at=known_at)[0, ""] == (expected, 1)
    assert quantities(frame, windows(JANUARY), meters("sum"), known_at=at("2026-01-04")) == {}


def test_only_ok_rows_of_the_windows_tenant_customer_and_meter_count() -> None:
    base = {"time": at("2026-01-05"), "value": D(1)}
    frame = usage(
        base,
        {**base, "tenant": "u"},
        {**base, "customer": "d"},
        {**base, "customer": None},
        {**base, "meter": "n"},
        {**base, "status": "no_value"},
        {**base, "meter": None, "status": "no_meter"},
    )
    for aggregation in ("sum", "latest"):
        assert quantities(frame, windows(JANUARY), meters(aggregation)) == {(0, ""): (D(1), 1)}


def test_usage_that_names_a_subscription_counts_there_alone() -> None:
    base = {"time": at("2026-01-05"), "value": D(1)}
    frame = usage({**base, "subscription": "a"}, {**base, "subscription": "b", "value": D(10)}, base)
    asked = windows({**JANUARY, "subscription": "a"}, {**JANUARY, "subscription": "b"})
    claims = pl.DataFrame({"tenant": ["t"], "customer": ["c"], "meter": ["m"], "subscription": ["a"]}).with_columns(
        windows(JANUARY).select("from", "to")
    )
    for aggregation in ("sum", "latest"):
        found = quantities(frame, asked, meters("sum"), unnamed=claims)
        assert found == {(0, ""): (D(2), 2), (1, ""): (D(10), 1)}, aggregation


def test_lines_make_one_quantity_of_several_dimensions() -> None:
    base = {"time": at("2026-01-05"), "text_value": "x", "operation": "add"}
    frame = usage(
        {**base, "value": D(3), "dimensions": '{"r":"a"}'},
        {**base, "value": D(5), "dimensions": '{"r":"b"}'},
        {**base, "value": D(7), "dimensions": '{"r":"c"}'},
    )
    lines = pl.DataFrame(
        {"window": [0, 0], "dimensions": ['{"r":"a"}', '{"r":"b"}'], "line": ["eu", "eu"]},
        schema_overrides={"window": pl.UInt32},
    )
    for aggregation, expected in (("sum", 8), ("max", 5), ("avg", 4), ("unique_count", 1), ("latest", 5)):
        found = quantities(frame, windows(JANUARY), meters(aggregation), lines=lines)
        assert found == {(0, "eu"): (D(expected), 2)}, aggregation
    assert len(quantities(frame, windows(JANUARY), meters("sum"))) == 3


@pytest.mark.parametrize(
    ("mode", "places", "expected"),
    [
        ("up", 0, "13"),
        ("down", 0, "12"),
        ("half_up", 1, "12.4"),
        ("half_even", 0, "12"),
        ("up", -1, "20"),
        ("half_up", -2, "0"),
    ],
)
def test_the_quantity_is_rounded_once_it_is_whole(mode: str, places: int, expected: str) -> None:
    frame = values(("2026-01-05", "6.175"), ("2026-01-06", "6.175"))
    asked = meters("sum", rounding_mode=mode, rounding_places=places)
    assert quantities(frame, windows(JANUARY), asked)[0, ""][0] == D(expected)


def test_latest_is_the_greatest_of_time_then_arrival_then_id() -> None:
    same = {"time": at("2026-01-05T10:00:00")}
    frame = usage(
        {**same, "id": "b", "value": D(1), "received_at": at("2026-01-06")},
        {**same, "id": "a", "value": D(2), "received_at": at("2026-01-07")},
        {**same, "id": "0", "value": D(3), "received_at": at("2026-01-07")},
        {"time": at("2026-01-05T09:00:00"), "value": D(4), "received_at": at("2026-01-09")},
    )
    assert quantities(frame, windows(JANUARY), meters("latest"))[0, ""][0] == 2


def test_carry_over_builds_the_level_from_earlier_events() -> None:
    frame = values(("2025-11-01", 5), ("2026-01-16T12:00:00", -1))
    for aggregation, expected in (("latest", -1), ("sum", 4), ("weighted_sum", "4.5")):
        found = quantities(frame, windows(JANUARY), meters(aggregation, carry_over=True))
        assert found == {(0, ""): (D(expected), 1)}, aggregation
    february = windows({"from": at("2026-02-01"), "to": at("2026-03-01")})
    assert quantities(frame, february, meters("weighted_sum", carry_over=True)) == {(0, ""): (D(4), 0)}
    assert quantities(frame, february, meters("weighted_sum")) == {}


def test_a_level_may_be_negative() -> None:
    frame = values(("2026-01-01", -3))
    assert quantities(frame, windows(JANUARY), meters("weighted_sum"))[0, ""][0] == -3


def test_weighted_sum_divides_by_the_whole_period_of_a_partial_window() -> None:
    frame = values(("2026-01-16T12:00:00", 2))
    part = {
        "from": at("2026-01-16T12:00"),
        "to": at("2026-02-01"),
        "full_from": JANUARY["from"],
        "full_to": JANUARY["to"],
    }
    assert quantities(frame, windows(part), meters("weighted_sum"))[0, ""][0] == 1


def test_unique_count_adds_and_removes_in_time_order() -> None:
    def op(time: str, text: str, operation: str) -> dict[str, Any]:
        return {"time": at(time), "text_value": text, "operation": operation}

    frame = usage(
        op("2025-12-05", "z", "add"),
        op("2026-01-07", "b", "remove"),
        op("2026-01-05", "a", "add"),
        op("2026-01-06", "a", "add"),
        op("2026-01-06", "b", "add"),
        op("2026-01-08", "c", "remove"),
    )
    assert quantities(frame, windows(JANUARY), meters("unique_count")) == {(0, ""): (D(1), 5)}
    assert quantities(frame, windows(JANUARY), meters("unique_count", carry_over=True)) == {(0, ""): (D(2), 5)}


def test_prorated_quantities_stand_beside_the_whole_ones_and_round_up_when_asked() -> None:
    frame = values(("2026-01-31T05:00", 1))
    asked = windows({**JANUARY, "prorate": True}, {**JANUARY, "prorate": True, "round_prorated": 5})
    found = meter_quantities(frame.lazy(), asked, meters("sum"), None)
    assert found.select("quantity", "prorated_quantity").rows() == [
        (D(1), D("0.032258064516129032")),
        (D(1), D("0.03226")),
    ]


def test_prorated_days_are_those_of_the_windows_time_zone() -> None:
    frame = values(("2026-01-30T23:30", 31))
    berlin = {
        "from": at("2025-12-31T23:00"),
        "to": at("2026-01-31T23:00"),
        "timezone": "Europe/Berlin",
        "prorate": True,
    }
    found = meter_quantities(frame.lazy(), windows(berlin), meters("sum"), None)
    assert found["prorated_quantity"].to_list() == [D(1)]


def test_one_number_out_of_range_stops_nobody_else() -> None:
    # 10^12 units held over 400 years are more than a Decimal holds; the other tenant's total is untouched.
    big = D(999_999_999_999)
    frame = usage({"time": at("1600-01-01"), "value": big}, {"time": at("1600-01-01"), "value": D(1), "tenant": "u"})
    span = {"from": at("1600-01-01"), "to": at("2000-01-01")}
    both = pl.concat([meters("weighted_sum"), meters("weighted_sum", tenant="u")])
    found = quantities(frame, windows(span, {**span, "tenant": "u"}), both)
    assert found == {(0, ""): (None, 1), (1, ""): (D(1), 1)}


def test_a_sum_out_of_range_stops_nobody_else() -> None:
    big = D(6) * 10**19
    frame = usage(
        {"time": at("2026-01-05"), "value": big},
        {"time": at("2026-01-25"), "value": big},
        {"time": at("2026-01-25"), "value": D(1), "tenant": "u"},
    )
    half = {"from": at("2026-01-01"), "to": at("2026-01-15")}
    both = pl.concat([meters("sum"), meters("sum", tenant="u")])
    found = quantities(frame, windows(JANUARY, half, {**JANUARY, "tenant": "u"}), both)
    assert found == {(0, ""): (None, 2), (1, ""): (big, 1), (2, ""): (D(1), 1)}


def test_a_window_on_an_unknown_meter_is_refused() -> None:
    with pytest.raises(RefusalError, match="no meter 'nope'"):
        quantities(usage(), windows({**JANUARY, "meter": "nope"}), meters("sum"))


def test_windows_without_usage_have_no_row_and_none_ask_for_nothing() -> None:
    assert quantities(usage(), windows(JANUARY), meters("sum")) == {}
    assert quantities(values(("2026-01-05", 1)), windows(), meters("sum")) == {}


def test_a_version_of_the_meter_is_chosen_by_the_catalog() -> None:
    frame = values(("2026-01-05", 1), ("2026-01-06", 4))
    both = pl.concat([meters(kind).with_columns(pl.lit(kind).alias("catalog_hash")) for kind in ("sum", "max")])
    asked = windows(JANUARY, JANUARY).with_columns(pl.Series("catalog_hash", ["sum", "max"]))
    assert quantities(frame, asked, both) == {(0, ""): (D(5), 2), (1, ""): (D(4), 2)}


def test_results_are_exact_decimals() -> None:
    found = meter_quantities(
        values(("2026-01-05", "0.1"), ("2026-01-06", "0.2")).lazy(), windows(JANUARY), meters("sum"), None
    )
    assert found.schema["quantity"] == EXACT
    assert found["quantity"].item() == D("0.3")


def test_usage_that_two_subscriptions_could_have_is_counted_by_neither() -> None:
    days = [at(f"2026-01-{day:02d}T12:00") for day in (5, 15, 25)]
    frame = usage(*({"time": day, "value": D(1)} for day in days))
    middle = {"from": at("2026-01-10"), "to": at("2026-01-20"), "subscription": "b"}
    for kind in ("sum", "latest"):
        found = quantities(frame, windows({**JANUARY, "subscription": "a"}, middle), meters(kind))
        assert {key: count for key, (_, count) in found.items()} == {(0, ""): 2}, kind
        twice = windows({**JANUARY, "subscription": "a"}, {**JANUARY, "subscription": "a"})
        assert {key: count for key, (_, count) in quantities(frame, twice, meters(kind)).items()} == {
            (0, ""): 3,
            (1, ""): 3,
        }, kind


def test_without_a_catalog_named_the_meter_in_force_at_the_windows_end_counts() -> None:
    frame = values(("2026-01-05", 1), ("2026-01-06", 4), ("2026-02-05", 1), ("2026-02-06", 4))
    versions = pl.concat(
        [
            meters(kind).with_columns(pl.lit(since).cast(INSTANT).alias("valid_from"))
            for kind, since in (("sum", at("2026-01-04")), ("max", at("2026-02-03")))
        ]
    )
    february = {"from": at("2026-02-01"), "to": at("2026-03-01")}
    past = {"from": at("2025-12-01"), "to": at("2026-01-01")}
    assert quantities(frame, windows(JANUARY, february, past), versions) == {
        (0, ""): (D(5), 2),
        (1, ""): (D(4), 2),
    }


@pytest.mark.parametrize("aggregation", ["sum", "max", "latest", "unique_count"])
def test_looking_up_customers_or_not_changes_no_quantity(aggregation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        {"time": at(f"2026-01-0{day}"), "value": D(day), "text_value": f"u{day}", "operation": "add", "customer": name}
        for day, name in ((1, "c1"), (2, "c1"), (3, "c2"), (4, "stranger"))
    ]
    asked = windows(JANUARY | {"customer": "c1"}, JANUARY | {"customer": "c2", "to": at("2026-01-20")})
    found = quantities(usage(*rows), asked, meters(aggregation))
    assert set(found) == {(0, ""), (1, "")}
    monkeypatch.setattr(window_join, "_MANY", 0)
    assert quantities(usage(*rows), asked, meters(aggregation)) == found
