"""``valueverse prorate``: the share of a period's amount that a part of it owes, or gets back."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Any

from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime

    from valueverse.services.calculators.prorate_input import Credit, ProrateInput

Document = dict[str, Any]

_DIGITS = 60
_MICROSECONDS_PER_DAY = 86_400_000_000


@dataclass(frozen=True)
class _Measure:
    """Used and full length in one measure, and how many of it make a day."""

    used: int
    full: int
    per_day: int = 1


def _local_day(written: Any, moment: datetime, zone: str) -> date:
    """The local date; a bare date is its own, also where its zone skipped that day."""
    from datetime import date

    import polars as pl

    if len(written) == len("2026-01-31"):
        return date.fromisoformat(written)
    # Polars' own zones, as the engine uses them: another copy of the tz database could differ.
    local = pl.Series([moment], dtype=pl.Datetime("us", "UTC")).dt.convert_time_zone(zone).dt.date()
    found: date = local.item()
    return found


def _measure(stated: ProrateInput, document: Document) -> _Measure:
    from valueverse.subscriptions import days_30_360

    period, used = stated.period, stated.used
    if used.from_ < period.from_ or used.to > period.to:
        side = "from" if used.from_ < period.from_ else "to"
        raise RefusalError("outside_period", f"used.{side} lies outside period: used is a part of it", f"used.{side}")
    if stated.basis == "second":
        from datetime import timedelta

        tick = timedelta(microseconds=1)
        return _Measure((used.to - used.from_) // tick, (period.to - period.from_) // tick, _MICROSECONDS_PER_DAY)
    days = {
        name: (
            _local_day(document[name]["from"], one.from_, stated.timezone),
            _local_day(document[name]["to"], one.to, stated.timezone),
        )
        for name, one in (("period", period), ("used", used))
    }
    share, full = (
        days_30_360(*days[name]) if stated.basis == "30_day" else (days[name][1] - days[name][0]).days
        for name in ("used", "period")
    )
    if full <= 0:
        message = f"period holds no whole day on the basis {stated.basis!r}: use 'second', or a longer period"
        raise RefusalError("bad_window", message, "period")
    return _Measure(share, full)


def _capped(amount: Decimal, credit: Credit | None) -> Decimal:
    """max(0, min(amount, billed - credited)); the amount itself where no credit is asked for."""
    if credit is None:
        return amount
    # Python takes off at 28 digits by default; an amount has up to 38.
    with localcontext(prec=_DIGITS):
        left = credit.billed - credit.credited
    return max(Decimal(0), min(amount, left))


def _answer(document: Document) -> Document:
    from valueverse.money import amount_text, plain
    from valueverse.services.calculators.line_fields import read_line
    from valueverse.services.calculators.prorate_input import ProrateInput
    from valueverse.subscriptions import prorated_amount, proration_factor

    stated = read_line(ProrateInput, document)
    measure = _measure(stated, document)
    share = _capped(prorated_amount(stated.amount, measure.used, measure.full), stated.credit)
    return {
        "amount": plain(share),
        "amount_rounded": amount_text(share, stated.currency),
        "factor": plain(proration_factor(measure.used, measure.full)),
        "days": plain(proration_factor(measure.used, measure.per_day)),
    }


def answer(documents: list[Document]) -> Iterable[Document | RefusalError]:
    """One answer or refusal per document, in order."""
    answers: list[Document | RefusalError] = []
    for document in documents:
        try:
            answers.append(_answer(document))
        except RefusalError as refusal:
            answers.append(refusal)
    return answers
