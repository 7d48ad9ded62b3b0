"""Which fees are to be proposed for the months of a commit: a function of the months, never of how runs batch them.

A run looks at every month of a commit from its start, in order, so that each fee is what a run at the end of its own
month proposes. Later months change an earlier fee only where an earlier run has measured them: then the fee is late.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.dates import month_later, month_of, months_between
from valueverse.errors import RefusalError
from valueverse.subscriptions import local_midnight
from valueverse.value.realisation.fees import FeeTerms, Later, fee_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from valueverse.value.realisation.case_runs import Commitment
    from valueverse.value.realisation.fees import Charged, Fee

_MID_MONTH = timedelta(days=15)


@dataclass(frozen=True)
class ProposalState:
    """A proposal made before that was not withdrawn.

    Attributes:
        charge: the charge's key.
        begin, month: first days of the first and the last month that it is for.
        amount: proposed.
    """

    charge: str
    begin: date
    month: date
    amount: Decimal


@dataclass(frozen=True)
class MeasuredMonth:
    """A month with which a period of the commit ends.

    Attributes:
        month: its first day.
        series: the realised case's, all periods so far.
        charges: those that bill the model at the month's end.
    """

    month: date
    series: Mapping[str, Sequence[float]]
    charges: Sequence[Charged]


@dataclass(frozen=True)
class Proposal:
    """A fee to be proposed.

    Attributes:
        charge: on which.
        terms: by which.
        begin, month: first days of the first and the last month that it is for.
        fee: what it comes to.
    """

    charge: Charged
    terms: FeeTerms
    begin: date
    month: date
    fee: Fee


@dataclass(frozen=True)
class Agreement:
    """A commit and what its months are judged by.

    Attributes:
        commitment: what was agreed.
        term: months after which a successor takes over; None: nobody does.
        zone: the tenant's time zone.
    """

    commitment: Commitment
    term: int | None
    zone: str


def months_to_measure(start: date, last: date, newest: date | None, until: date | None) -> list[date]:
    """First days of the months of a commit that a run measures: all from its start, so that no split of months counts.

    Args:
        start: of the commit.
        last: first day of the run's last month.
        newest: the last month that any run measured; None: none did.
        until: first day of the month with which a successor takes over; None: nobody does.
    """
    end = max(last, newest or last)
    if until is not None:
        end = min(end, month_later(until, -1))
    return [] if end < month_of(start) else months_between(start, end)


def missing_proposals(
    agreement: Agreement, months: Sequence[MeasuredMonth], existing: Sequence[ProposalState], newest: date | None
) -> tuple[list[Proposal], list[tuple[date, RefusalError]]]:
    """The proposals that are missing, in the order of their months, and the months whose terms cannot be read.

    Args:
        agreement: the commit.
        months: all measured ones, oldest first.
        existing: proposals on the model to the commit's customer.
        newest: the last month that an earlier run measured; None: none did.
    """
    first = (agreement.commitment.start or date.min).replace(day=1)
    made = [one for one in existing if one.begin >= first]
    before = [one for one in months if newest is not None and one.month <= newest]
    found: list[Proposal] = []
    refused: list[tuple[date, RefusalError]] = []
    for month in months:
        later = [one for one in reversed(before) if one.month > month.month]
        try:
            for charge in month.charges:
                mine = [one for one in made if one.charge in charge.alike]
                proposal = _proposal(agreement, month, charge, mine, later)
                if proposal is not None and proposal.fee.amount != 0:
                    found.append(proposal)
                    made.append(ProposalState(charge.key, proposal.begin, month.month, proposal.fee.amount))
        except RefusalError as refusal:
            refused.append((month.month, refusal))
    return found, refused


def _proposal(
    agreement: Agreement,
    month: MeasuredMonth,
    charge: Charged,
    made: Sequence[ProposalState] = (),
    later: Sequence[MeasuredMonth] = (),
) -> Proposal | None:
    """What falls due on a charge at a month's end, beyond what was proposed; None where nothing does.

    Args:
        agreement: the commit.
        month: at whose end.
        charge: that bills it.
        made: proposals, not withdrawn, of the charge.
        later: months after this one that earlier runs measured, newest first.
    """
    program = agreement.commitment.program
    terms = FeeTerms.of(charge.price, program)
    sums = {
        "to_date": _sum(one for one in made if one.month <= month.month),
        "period": _sum(one for one in made if one.month == month.month),
    }
    limit = _limit(agreement, charge, made, later)
    fee = fee_of(terms, program, month.series, sums, later=limit, term=agreement.term)
    if fee is None:
        return None
    begin = month_later(month.month, 1 - fee.months)
    if charge.ended is not None and charge.ended <= start_of_day(begin, agreement.zone):
        return None
    return Proposal(charge, terms, begin, month.month, fee)


def _limit(
    agreement: Agreement, charge: Charged, made: Sequence[ProposalState], later: Sequence[MeasuredMonth]
) -> Later | None:
    """The newest fee period with which the charge's output was billed; None: none of ``later`` was."""
    for month in later:
        for one in month.charges:
            if one.key not in charge.alike and charge.key not in one.alike:
                continue
            try:
                found = _proposal(agreement, month, one)
            except RefusalError:
                continue
            if found is not None:
                return Later(found.fee.to_date, _sum(known for known in made if known.month <= month.month))
    return None


def _sum(proposed: Iterable[ProposalState]) -> Decimal:
    return sum((one.amount for one in proposed), Decimal(0))


def proposal_states(made: Iterable[Mapping[str, Any]]) -> list[ProposalState]:
    """Standing proposals of rows with charge, period_from, period_to, amount (a number or its text), verdict.

    The months are read off the middle of the period's first and last month: a tenant whose time zone has changed keeps
    its proposals.
    """
    return [
        ProposalState(
            row["charge"],
            (row["period_from"] + _MID_MONTH).date().replace(day=1),
            last_month(row["period_to"]),
            Decimal(row["amount"]),
        )
        for row in made
        if row["verdict"] != "withdrawn"
    ]


def last_month(period_to: datetime) -> date:
    """First day of the last month of a period that ends with a month, in whatever zone."""
    return (period_to - _MID_MONTH).date().replace(day=1)


@lru_cache(maxsize=4096)
def start_of_day(day: date, zone: str) -> datetime:
    """The instant at which a day begins in a time zone."""
    found = local_midnight(pl.DataFrame({"day": [day], "zone": [zone]}), pl.col("day"), "zone", "at")["at"].item()
    assert isinstance(found, datetime)  # noqa: S101 - for the type checker
    return found
