"""Bars in a terminal, drawn by rich from exact amounts: integers all the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.bar import Bar
from rich.table import Table
from rich.text import Text

from valueverse.commands.output import sentence
from valueverse.services.price_changes.money_changes import money_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from valueverse.services.price_changes.money_changes import Change

SHOWN = 10
WIDTH = 20
"""Characters of the longest bar, and of the longest name: with an amount of 20 digits a row fits 80 columns."""
_STEPS = 8 * WIDTH
"""A bar is drawn in eighths of a character."""


def difference_bars(changes: Sequence[Change]) -> Table | None:
    """The customers whose totals differ most, each with a bar; None where no total differs.

    Bars of one currency share a scale; amounts of two currencies do not compare.
    """
    largest = sorted((one for one in changes if one.difference), key=lambda one: -abs(one.difference))[:SHOWN]
    if not largest:
        return None
    longest: dict[str, Decimal] = {}
    for row in largest:
        longest.setdefault(row.currency, abs(row.difference))
    table = Table(title="difference per customer", title_justify="left", header_style="dim", box=None)
    table.add_column("customer", no_wrap=True)
    table.add_column("difference", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for row in largest:
        length = max(int(_STEPS * abs(row.difference) / longest[row.currency]), 8)
        name = Text(" ".join(sentence(row.customer).plain.split()))
        name.truncate(WIDTH, overflow="ellipsis")
        bar = Bar(_STEPS, 0, length, width=WIDTH, color="red" if row.difference < 0 else "green")
        table.add_row(name, Text(money_text(row.difference, row.currency, signed=True)), bar)
    return table
