"""A table that fits its terminal: columns are as wide as their words ask for, else each row is a block of lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from rich.console import Console, ConsoleOptions, RenderResult

_GAPS = (2, 1)
"""Blanks between two columns, and where those are too many."""


class FittingTable:
    """Rows below their column names.

    No word is broken while there is another way: columns of sentences wrap between words, those of numbers and amounts
    not at all. Where that is too wide, a row becomes a block: a line for each column, with its name.
    """

    def __init__(
        self, columns: Sequence[str], rows: Sequence[Sequence[Text]], right: Collection[str], *, header: bool
    ) -> None:
        """``right``: columns of numbers and amounts; ``header``: whether the names are shown."""
        self._columns = columns
        self._rows = rows
        self._right = right
        self._header = header

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """As wide as it is drawn."""
        wide = sum(self._widest()) + _GAPS[0] * (len(self._columns) - 1)
        return Measurement(min(wide, options.max_width), min(wide, options.max_width))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The table, or the blocks."""
        for gap in _GAPS:
            available = options.max_width - gap * (len(self._columns) - 1)
            if (widths := self._fitting(available)) is not None:
                yield self._table(widths, gap)
                return
        yield self._blocks()

    def _fitting(self, available: int) -> list[int] | None:
        """Widths of the columns, together no more than is available; None: not without breaking a word."""
        widths, least = self._widest(), self._narrowest()
        if sum(least) > available:
            return None
        for _ in range(sum(widths) - available):
            # One column after the other loses a character, the one that has most to spare first.
            spare = [have - need for have, need in zip(widths, least, strict=True)]
            widths[spare.index(max(spare))] -= 1
        return widths

    def _widest(self) -> list[int]:
        return [max(map(cell_len, self._texts(place)), default=0) for place in range(len(self._columns))]

    def _narrowest(self) -> list[int]:
        """Of each column its longest word; of one with numbers the longest of them."""
        found = []
        for place, name in enumerate(self._columns):
            cells = [row[place].plain for row in self._rows]
            parts = cells if name in self._right else [word for text in cells for word in text.split()]
            found.append(max(map(cell_len, [*parts, *(name.split() if self._header else ())]), default=0))
        return found

    def _texts(self, place: int) -> list[str]:
        shown = [row[place].plain for row in self._rows]
        return [self._columns[place], *shown] if self._header else shown

    def _table(self, widths: Sequence[int], gap: int) -> Table:
        made = Table(show_header=self._header, header_style="dim", box=None, pad_edge=False, padding=(0, gap, 0, 0))
        for name, width in zip(self._columns, widths, strict=True):
            made.add_column(Text(name), width=width, justify="right" if name in self._right else "left")
        for row in self._rows:
            made.add_row(*row)
        return made

    def _blocks(self) -> Table:
        made = Table.grid(padding=(0, _GAPS[0], 0, 0))
        made.add_column(no_wrap=True, style="dim")
        made.add_column(overflow="fold")
        for place, row in enumerate(self._rows):
            if place:
                made.add_row()
            for name, value in zip(self._columns, row, strict=True):
                made.add_row(name if self._header else "", value)
        return made
