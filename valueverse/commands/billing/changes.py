"""Money before and after a change of prices, for people: sums, who pays more, who pays less, and a chart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from valueverse.commands.billing.bars import difference_bars
from valueverse.commands.output import sentence, table
from valueverse.services.price_changes.money_changes import (
    AMOUNTS,
    amounts_in_text,
    by_currency,
    by_customer,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from valueverse.services.price_changes.money_changes import Change

_SHOWN = 5


def show_changes(out: Console, changes: Sequence[Change], commands: Sequence[str]) -> None:
    """Sums by currency, the customers with the largest differences, bars, and the commands that may come next."""
    customers = by_customer(changes)
    several = len({one.tenant for one in customers}) > 1
    sums = by_currency(customers)
    rows = [(one.currency, f"{one.customers:,}", *amounts_in_text(one)) for one in sums]
    out.print(table(("currency", "customers", *AMOUNTS), rows, right=("customers", *AMOUNTS)))
    for one in sums:
        for who, found in (("more", one.more), ("less", one.less)):
            if found:
                out.print()
                out.print(sentence(f"{len(found):,} of {one.customers:,} pay {who} {one.currency}{_most(found)}:"))
                _show_customers(out, found[:_SHOWN], several=several)
        if one.same:
            out.print()
            out.print(sentence(f"{one.same:,} of {one.customers:,} pay the same {one.currency}."))
    if (chart := difference_bars(customers)) is not None:
        out.print()
        out.print(chart)
    if commands:
        out.print()
        out.print("next:")
        for command in commands:
            out.print(sentence(f"  {command}"), soft_wrap=True)


def _most(found: Sequence[Change]) -> str:
    return f", the {_SHOWN} with the largest difference" if len(found) > _SHOWN else ""


def _show_customers(out: Console, found: Sequence[Change], *, several: bool) -> None:
    names = ("tenant", "customer") if several else ("customer",)
    rows = [(*(getattr(one, name) for name in names), *amounts_in_text(one)) for one in found]
    out.print(table((*names, *AMOUNTS), rows, right=AMOUNTS))
