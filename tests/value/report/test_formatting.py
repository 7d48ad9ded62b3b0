"""Numbers and names as people read them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from valueverse.value.report import formatting

FINITE = st.floats(allow_nan=False, allow_infinity=False)


def plain(text: str) -> str:
    return text.replace(formatting.SPACE, " ").replace(formatting.MINUS, "-").replace(formatting.NONE, "none")


@pytest.mark.parametrize(
    ("value", "currency", "expected"),
    [
        (78.8125, "USD", "78.81 USD"),
        (999.994, "USD", "999.99 USD"),
        (999.995, "USD", "1,000 USD"),
        (-1234567.5, "EUR", "-1,234,568 EUR"),
        (0.0, "USD", "0 USD"),
        (-0.0, "USD", "0 USD"),
        (12.4, "JPY", "12 JPY"),
        (0.0004, "BHD", "0.000 BHD"),
        (1.5, "XAU", "1.50 XAU"),
        (None, "USD", "none"),
        (np.float64(2.5), "USD", "2.50 USD"),
    ],
)
def test_an_estimate_is_shown_in_whole_units_from_a_thousand_on(
    value: float | None, currency: str, expected: str
) -> None:
    assert plain(formatting.estimate(value, currency)) == expected


def test_an_amount_that_is_billed_keeps_its_minor_units() -> None:
    assert plain(formatting.amount(Decimal("12345.678"), "USD")) == "12,345.68 USD"
    assert plain(formatting.amount(Decimal(12345), "JPY")) == "12,345 JPY"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.3, "0.3"),
        (0.8151234, "0.8151"),
        (20000.0, "20,000"),
        (1234567.8, "1,234,568"),
        (-1e-9, "-1 x 10^-9"),
        (6.022e23, "6.022 x 10^23"),
        (0.1 + 0.2, "0.3"),
        (9999.96, "10,000"),
    ],
)
def test_a_number_shows_the_digits_that_count(value: float, expected: str) -> None:
    assert plain(formatting.number(value)) == expected


@given(FINITE)
def test_no_number_is_shown_as_a_raw_float(value: float) -> None:
    for text in (
        formatting.number(value),
        formatting.estimate(value, "USD"),
        formatting.percent(value),
        formatting.lasting(value, "month"),
    ):
        assert not re.search(r"\de[+-]?\d|nan|inf", text)
        assert re.fullmatch(r"-?[\d,.]+( x 10\^-?\d+)?( \S+)?", plain(text))


@given(FINITE.filter(lambda value: 1e-6 <= abs(value) < 1e15))
def test_a_number_shown_is_within_half_a_thousandth_of_itself(value: float) -> None:
    shown = Decimal(plain(formatting.number(value)).replace(",", ""))
    exact = Decimal(repr(value))
    assert abs(shown - exact) <= max(abs(exact) / 2000, Decimal("0.5") if abs(exact) >= 1000 else Decimal(0))


@pytest.mark.parametrize(
    ("fraction", "expected"),
    [(0.79, "79 %"), (0.0449, "4.5 %"), (1.5, "150 %"), (-0.661, "-66 %"), (Decimal("0.123"), "12 %"), (None, "none")],
)
def test_fractions_are_shown_in_percent(fraction: float | Decimal | None, expected: str) -> None:
    assert plain(formatting.percent(fraction)) == expected


@pytest.mark.parametrize(
    ("n", "grain", "start", "expected"),
    [
        (0, "month", date(2023, 11, 1), "start"),
        (1, "month", date(2023, 11, 1), "Nov 2023"),
        (3, "month", date(2023, 11, 1), "Jan 2024"),
        (2, "quarter", date(2023, 10, 1), "Q1 2024"),
        (2, "quarter", date(2023, 11, 1), "Feb 2024"),
        (3, "year", date(2023, 1, 1), "2025"),
        (2, "week", date(2023, 12, 28), "4 Jan 2024"),
        (2, "day", date(2023, 12, 31), "1 Jan 2024"),
        (7, "month", None, "month 7"),
    ],
)
def test_periods_are_called_by_their_dates(n: int, grain: str, start: date | None, expected: str) -> None:
    assert formatting.period(n, grain, start) == expected


def test_instants_are_shown_in_utc() -> None:
    moment = datetime(2023, 12, 1, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    assert formatting.day(moment) == "30 November 2023"
    assert formatting.instant(moment) == "30 November 2023, 23:30 UTC"
    assert formatting.day(datetime(2023, 12, 1, tzinfo=UTC).date()) == "1 December 2023"


def test_lengths_of_time_agree_with_their_number() -> None:
    assert [plain(formatting.lasting(value, "month")) for value in (1.0, 6.44, 24.0, None)] == [
        "1 month",
        "6.4 months",
        "24 months",
        "none",
    ]


def test_names_are_words_and_control_characters_are_shown_as_missing() -> None:
    assert formatting.name("driver.support_deflection") == "support deflection"
    assert formatting.printable("a\x00b\u202ec\n") == "a\ufffdb\ufffdc\n"
    assert [formatting.listing(list(one)) for one in ("", "a", "ab", "abc")] == [
        formatting.NONE,
        "a",
        "a and b",
        "a, b and c",
    ]
