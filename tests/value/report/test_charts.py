"""Charts of a report, by the texts in them."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal

from valueverse.value.report.charts import Bar, Calendar, Line, against, build_bar_chart


def _texts(drawing: str) -> list[str]:
    return [text.strip() for text in re.findall(r"<text[^>]*>([^<]*)</text>", drawing)]


def test_a_chart_of_one_period_names_it_once() -> None:
    chart = against(Line([10.0], [12.0], []), Calendar("month", dt.date(2023, 11, 1)), "USD")
    for drawing in chart.drawings:
        assert _texts(drawing).count("Nov 2023") == 1


def test_bars_are_in_the_order_given_with_their_amounts_in_words_and_counts_have_whole_ticks() -> None:
    bars = [Bar("<b>bad</b>", 2, "2"), Bar("none", 0, "0"), Bar("late", 1, "1")]
    chart = build_bar_chart("reasons", "Quarantined", "events", bars)
    assert chart.description == "<b>bad</b>: 2; none: 0; late: 1"
    for drawing in chart.drawings:
        shown = _texts(drawing)
        assert [one for one in shown if one in {"&lt;b&gt;bad&lt;/b&gt;", "none", "late"}] == [
            "&lt;b&gt;bad&lt;/b&gt;", "none", "late",
        ]  # fmt: skip
        assert not [one for one in shown if re.fullmatch(r"\d+\.\d+", one)]


def test_amounts_of_a_chart_are_decimals_and_no_bars_are_a_chart_too() -> None:
    chart = build_bar_chart("invoiced", "Invoiced", "USD", [Bar("2024-01", Decimal("78.81"), "78.81 USD")])
    assert all("78.81 USD" in _texts(drawing) for drawing in chart.drawings)
    assert build_bar_chart("none", "Nothing", "USD", []).description == ""
