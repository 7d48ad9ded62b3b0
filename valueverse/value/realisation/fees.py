"""What a realised outcome costs: share, floor and cap accrued so far, less what was proposed before.

A fee is a proposal first: the customer may dispute it until its window ends. What is known later comes as another
proposal over the difference; a billed line is never rewritten (value-models.md, Executor).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

import polars as pl

from valueverse.catalog import Outcome
from valueverse.errors import RefusalError
from valueverse.invoicing.lines import resolve_plan
from valueverse.money import minor_units, round_decimal
from valueverse.value.architect.compiler import read_limit
from valueverse.value.architect.language import TIME
from valueverse.value.finance import FeeBinding, outcome_fee
from valueverse.value.realisation.case_runs import MONTHS, adds_up

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from valueverse.catalog import CatalogHistory
    from valueverse.subscriptions import Timeline
    from valueverse.value.architect import Grain, Limit, Program
    from valueverse.value.realisation.case_runs import Commitment

_MOST_TEXT = 60


@dataclass(frozen=True)
class FeeTerms:
    """How a realised value becomes a fee: the charge's word, and where it is silent the model's.

    Attributes:
        output: a driver, a variable, ``total_benefit`` or ``net_benefit``.
        share: fraction.
        floor, cap: accruing pro rata.
        period: what one proposal is for.
        true_up: ``cumulative`` over all periods since the start, or ``none``: each period by itself.
        dispute_days: until a proposal counts as accepted.
        refund: whether a difference may be negative.
        currency: of the fee.
    """

    output: str
    share: Decimal
    floor: Limit | None
    cap: Limit | None
    period: Grain
    true_up: str
    dispute_days: int
    refund: bool
    currency: str

    @classmethod
    def of(cls, charge: Outcome, program: Program) -> FeeTerms:
        """The terms of a charge on this model.

        Raises:
            RefusalError: ``bad_outcome_charge``, ``unit_mismatch``, ``bad_value``: the charge's floor or cap cannot be
                read, or its output is none of the model, or no money of a period.
        """
        currency = program.currency or ""
        stated, own = charge.model_fields_set, program.pricing

        def silent(name: str) -> bool:
            return name not in stated and own is not None

        period = own.period if own is not None and silent("period") else charge.period
        terms = cls(
            charge.output.rpartition(".")[2],
            Decimal(charge.share),
            own.floor if own is not None and silent("floor") else _limit(charge.floor, period, currency, "floor"),
            own.cap if own is not None and silent("cap") else _limit(charge.cap, period, currency, "cap"),
            period,
            own.true_up if own is not None and silent("true_up") else charge.true_up,
            own.dispute_days if own is not None and silent("dispute_days") else charge.dispute_days,
            own.refund if own is not None and silent("refund") else charge.refund,
            currency,
        )
        series = terms.series_name(program)
        if series is None:
            known = ", ".join(("total_benefit", "net_benefit", *(one.name for one in program.drivers)))
            raise RefusalError(
                "bad_outcome_charge",
                f"the model has no output {terms.output[:_MOST_TEXT]!r}; known are {known}",
                "output",
            )
        if not adds_up(program, series):
            raise RefusalError(
                "bad_outcome_charge",
                f"a fee is a share of money: {terms.output!r} is not {currency} or {currency}/{program.axis.grain}",
                "output",
            )
        return terms

    def series_name(self, program: Program) -> str | None:
        """Name of the series in a run that the fee is a share of; None: there is none."""
        special = {"total_benefit": "benefit", "net_benefit": "net"}
        if self.output in special:
            return special[self.output]
        if any(one.name == self.output for one in program.drivers):
            return f"driver.{self.output}"
        return self.output if any(one.name == self.output for one in program.nodes if one.kind == "variable") else None


def _limit(text: str | None, period: Grain, currency: str, path: str) -> Limit | None:
    if text is None:
        return None
    try:
        return read_limit(text, period, currency)
    except RefusalError as refusal:
        raise refusal.below(path) from refusal


@dataclass(frozen=True)
class Fee:
    """What is to be proposed for one fee period.

    Attributes:
        months: length of the fee period in months; it ends with the run's period.
        realised: value the fee to date is a share of.
        to_date: the fee for it, rounded to the currency's minor unit.
        amount: ``to_date`` less what was proposed before.
        binding: whether floor or cap decided.
    """

    months: int
    realised: Decimal
    to_date: Decimal
    amount: Decimal
    binding: FeeBinding


@dataclass(frozen=True)
class Later:
    """What is known of the newest fee period that was measured before, where it is after the one in question.

    Attributes:
        to_date: the fee to date at its end, in major units.
        proposed: sum of proposals that are not withdrawn up to its end.
    """

    to_date: Decimal
    proposed: Decimal


def fee_of(
    terms: FeeTerms,
    program: Program,
    series: Mapping[str, Sequence[float]],
    proposed: Mapping[str, Decimal],
    *,
    later: Later | None = None,
    term: int | None = None,
) -> Fee | None:
    """The fee that falls due with the last period of ``series``, None where no fee period ends there.

    A cumulative fee that is late never goes beyond what the newest fee period leaves to be proposed: value that moved
    from a later period, or that the cap to date takes off, would be billed twice.

    Args:
        terms: of the charge.
        program: whose grain the series have.
        series: the realised case's, all periods so far.
        proposed: sums, without withdrawn ones: ``to_date`` (all up to this period), ``period`` (those for this one).
        later: the newest fee period that an earlier run measured; None: none after this one.
        term: months after which a successor takes over: a fee period begun ends with them; None: nobody does.
    """
    months = _fee_end(terms, program, series, term)
    name = terms.series_name(program)
    assert name is not None  # noqa: S101 - judged when the terms were read
    if months != len(series[name]) * MONTHS[program.axis.grain]:
        return None
    length = _fee_months(terms, program)
    cumulative = terms.true_up == "cumulative"
    realised, to_date, binding = _fee_to(
        terms, program, series[name], months if cumulative else (months - 1) % length + 1
    )
    amount = to_date - proposed["to_date" if cumulative else "period"]
    if cumulative and later is not None and amount > 0:
        amount = min(amount, max(later.to_date - later.proposed, Decimal(0)))
    if not terms.refund:
        amount = max(amount, Decimal(0))
    return Fee((months - 1) % length + 1, realised, to_date, amount, binding)


def _fee_months(terms: FeeTerms, program: Program) -> int:
    return max(MONTHS.get(terms.period, 1), MONTHS[program.axis.grain])


def _fee_end(terms: FeeTerms, program: Program, series: Mapping[str, Sequence[float]], term: int | None) -> int:
    """Months of the series up to the end of its last fee period; the last one may be short."""
    name = terms.series_name(program)
    assert name is not None  # noqa: S101 - judged when the terms were read
    periods = len(series[name])
    months = periods * MONTHS[program.axis.grain]
    if months == term or periods == program.axis.periods:
        return months
    return months - months % _fee_months(terms, program)


def _fee_to(
    terms: FeeTerms, program: Program, values: Sequence[float], covered: int
) -> tuple[Decimal, Decimal, FeeBinding]:
    """Value of the last ``covered`` months, the fee for it in minor units, and the bound that decided."""
    periods = covered // MONTHS[program.axis.grain]
    realised = sum((Decimal(repr(one)) for one in values[len(values) - periods :]), Decimal(0))
    bounds = [None if one is None else _accrued(one, covered) for one in (terms.floor, terms.cap)]
    fee, binding = outcome_fee(realised, terms.share, bounds[0], bounds[1])
    return realised, round_decimal(fee, minor_units(terms.currency)), binding


def _accrued(limit: Limit, months: int) -> Decimal:
    """A floor or cap pro rata: 120,000 a year is 10,000 a month."""
    times = Fraction(months, 12) / TIME[limit.per]
    return limit.amount * Decimal(times.numerator) / Decimal(times.denominator)


@dataclass(frozen=True)
class Charged:
    """A charge that bills what a model realises.

    Attributes:
        subscription: whose plan has it.
        key: the charge's.
        price: its terms.
        ended: when the subscription ended; None: it runs.
        alike: keys under which the same output may have been proposed before.
    """

    subscription: str
    key: str
    price: Outcome
    ended: datetime | None
    alike: tuple[str, ...]

    @property
    def output(self) -> str:
        """What it is a share of."""
        return self.price.output.rpartition(".")[2]


def outcome_charges(
    timeline: Timeline, history: CatalogHistory, tenant: str, commitment: Commitment, end: datetime
) -> list[Charged]:
    """Charges on the commit's model in the plans that hold last before ``end``.

    A commit is its customer's, so each output is billed by one of the customer's subscriptions: of those that run at
    ``end`` the one that started first, else the one that ended last (docs/decisions/1302).
    """
    if commitment.customer is None:
        return []
    held = (
        timeline.segments.filter(
            pl.col("tenant") == tenant, pl.col("customer") == commitment.customer, pl.col("from") < pl.lit(end)
        )
        .sort("from")
        .unique("subscription", keep="last")
        .sort("subscription_start", "subscription")
    )
    found = []
    for row in held.iter_rows(named=True):
        catalog = history.catalogs[row["catalog_hash"]]
        plan, _ = resolve_plan(catalog, row["plan"], row["plan_version"], row["overrides"])
        found += [
            Charged(row["subscription"], charge.key, charge.price, row["to"], (charge.key,))
            for charge in plan.charges
            if isinstance(charge.price, Outcome) and charge.price.value_model == commitment.program.model
        ]
    outputs = dict.fromkeys(one.output for one in found)
    return [one for output in outputs for one in _billing([one for one in found if one.output == output], end)]


def _billing(charges: list[Charged], end: datetime) -> list[Charged]:
    """Those of the one subscription that bills an output."""
    running = [one for one in charges if one.ended is None or one.ended >= end]
    chosen = running[0] if running else max(charges, key=lambda one: one.ended or end)
    own = [one for one in charges if one.subscription == chosen.subscription]
    keys = {one.key for one in own}
    others = sorted({one.key for one in charges} - keys)
    return [replace(one, alike=(one.key, *others)) for one in own]
