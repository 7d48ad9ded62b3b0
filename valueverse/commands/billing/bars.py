"""Bars in a terminal, from exact amounts: integers all the way, and as wide as the terminal."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from valueverse.value.report import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SHOWN = 20
WIDTH = 24
"""Characters of the longest bar, and of the longest name: with an amount of 20 digits a row fits 80 columns."""


def difference_bars(rows: Sequence[Mapping[str, Any]]) -> Table | None:
    """The customers whose totals differ most, each with a bar; None where no total differs.

    Args:
        rows: of ``simulation.difference``: tenant, customer (None: a total in all), currency, difference (text in
            major units). Bars of one currency share a scale; amounts of two currencies do not compare.
    """
    differing = [row for row in rows if row["customer"] is not None and Decimal(row["difference"])]
    largest = sorted(differing, key=lambda row: -abs(Decimal(row["difference"])))[:SHOWN]
    if not largest:
        return None
    longest: dict[str, Decimal] = {}
    for row in largest:
        longest.setdefault(row["currency"], abs(Decimal(row["difference"])))
    table = Table(title="difference per customer", title_justify="left", header_style="dim", box=None)
    table.add_column("customer", no_wrap=True)
    table.add_column("difference", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for row in largest:
        amount = Decimal(row["difference"])
        length = max(int(WIDTH * abs(amount) / longest[row["currency"]]), 1)
        bar = Text("█" * length, style="red" if amount < 0 else "green")
        name = Text(" ".join(printable(row["customer"]).split()))
        name.truncate(WIDTH, overflow="ellipsis")
        table.add_row(name, Text(f"{row['difference']} {row['currency']}"), bar)
    return table
