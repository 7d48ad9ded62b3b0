"""What an outcome costs: fees proposed, invoices, value for the price; for its vendor cost to serve and margin too."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from valueverse.value.report import formatting
from valueverse.value.report.business_case import TITLES
from valueverse.value.report.page import Facts, Headline, Section, Table

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from valueverse.value.architect import Program
    from valueverse.value.realisation import CaseRun
    from valueverse.value.report.page import Cell

_LIMITS = {"none": "the share", "floor": "the floor", "cap": "the cap"}


@dataclass(frozen=True)
class FeeProposal:
    """A fee proposed.

    Attributes:
        name: by which it is accepted or disputed.
        first, last: days of its period.
        realised: value that the fee to date is a share of; None: not to be shown.
        amount: proposed now.
        currency: of both.
        binding: none, floor or cap: what decided.
        state: open, disputed, approved, withdrawn.
        disputable_until: end of its window.
        invoice: number of the invoice that bills it, or None.
    """

    name: str
    first: dt.date
    last: dt.date
    realised: Decimal | None
    amount: Decimal
    currency: str
    binding: str
    state: str
    disputable_until: dt.datetime
    invoice: str | None


@dataclass(frozen=True)
class CustomerMonth:
    """A calendar month of a customer: invoiced net of tax, and spent to serve it (None: not to be shown)."""

    first: dt.date
    invoiced: Decimal
    cost: Decimal | None


def fees_section(proposals: Sequence[FeeProposal]) -> Section:
    """Proposals, what decided their amounts, and where they are billed."""
    rows = [
        (
            _named(one),
            formatting.NONE if one.realised is None else formatting.amount(one.realised, one.currency),
            formatting.amount(one.amount, one.currency),
            _LIMITS[one.binding],
            _state(one),
            f"invoice {one.invoice}" if one.invoice else "not yet",
        )
        for one in proposals
    ]
    columns = ("Period", "Value it is a share of", "Fee", "Decided by", "State", "Billed")
    tables = [Table("Fees proposed for what was realised", columns, rows, frozenset({1, 2}))] if rows else []
    return Section("fees", "Fee for the outcome", "", tables)


def terms_section(program: Program) -> Section:
    """The fee that a proposal asks for: what it is a share of, within which limits; empty where the model has none."""
    fee = program.pricing
    if fee is None:
        return Section("fee-terms", "")
    output = TITLES.get(fee.output, formatting.name(fee.output))
    rows: list[tuple[str, Cell]] = [
        ("Share", f"{formatting.percent(fee.share)} of the value {fee.case}: {output.lower()}")
    ]
    for label, limit in (("At least", fee.floor), ("At most", fee.cap)):
        if limit is not None:
            rows.append((label, f"{formatting.amount(limit.amount, program.currency or '')} a {limit.per}, pro rata"))
    counted = {"cumulative": "all periods so far count together", "none": "each period by itself"}[fee.true_up]
    rows += [
        ("Proposed", f"every {fee.period}; {counted}{'' if fee.refund else '; nothing is paid back'}"),
        ("May be disputed", f"for {fee.dispute_days} days"),
    ]
    text = "What the customer's plan states of this fee takes the place of what stands here."
    return Section("fee-terms", "Fee for the outcome", text, [Facts(rows)])


def _named(one: FeeProposal) -> Cell:
    return (f"{formatting.day(one.first)} to {formatting.day(one.last)}", one.name)


def _state(one: FeeProposal) -> Cell:
    if one.state != "open":
        return one.state
    return ("open", f"may be disputed until {formatting.instant(one.disputable_until)}")


def economics_section(months: Sequence[CustomerMonth], currency: str) -> Section:
    """Per month and altogether: invoiced, and for a vendor cost to serve and margin."""
    if not months:
        return Section("economics", "")
    costs = [one.cost for one in months if one.cost is not None]
    total = sum((one.invoiced for one in months), Decimal(0))
    if len(costs) < len(months):
        return _invoiced_section(months, total, currency)
    named = zip(months, costs, strict=True)
    rows = [(f"{one.first:%B %Y}", *_margin(one.invoiced, cost, currency)) for one, cost in named]
    rows.append(("total", *_margin(total, sum(costs, Decimal(0)), currency)))
    columns = ("Month", "Invoiced, net of tax", "Cost to serve", "Margin", "Margin of invoiced")
    table = Table("Invoiced and spent", columns, rows, frozenset({1, 2, 3, 4}), total=True)
    text = "What serving this customer cost: costs recorded for it, and its share, by usage, of those for everybody."
    return Section("economics", "Cost to serve and margin", text, [table])


def _invoiced_section(months: Sequence[CustomerMonth], total: Decimal, currency: str) -> Section:
    rows = [(f"{one.first:%B %Y}", formatting.amount(one.invoiced, currency)) for one in months]
    rows.append(("total", formatting.amount(total, currency)))
    table = Table("Invoiced", ("Month", "Invoiced, net of tax"), rows, frozenset({1}), total=True)
    return Section("economics", "What was invoiced", "", [table])


def _margin(invoiced: Decimal, cost: Decimal, currency: str) -> tuple[str, ...]:
    margin = invoiced - cost
    share = formatting.percent(margin / invoiced) if invoiced else formatting.NONE
    return (*(formatting.amount(one, currency) for one in (invoiced, cost, margin)), share)


def ratio_headline(months: Sequence[CustomerMonth], realised: CaseRun, currency: str) -> list[Headline]:
    """Value realised for each unit of money invoiced; none where nothing was invoiced."""
    invoiced = sum((one.invoiced for one in months), Decimal(0))
    if not invoiced or "benefit" not in realised.series:
        return []
    ratio = math.fsum(realised.series["benefit"]) / float(invoiced)
    note = f"{formatting.amount(invoiced, currency)} invoiced so far"
    return [
        Headline(f"Value for each {currency} invoiced", f"{formatting.number(ratio)}{formatting.SPACE}{currency}", note)
    ]
