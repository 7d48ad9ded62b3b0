"""What a realised outcome costs: share, floor and cap accrued so far, less what was proposed before.

A fee is a proposal first: the customer may dispute it until its window ends. What is known later comes as another
proposal over the difference; a billed line is never rewritten (value-models.md, Executor).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

import polars as pl

from valueverse.catalog.prices import Outcome
from valueverse.errors import RefusalError
from valueverse.invoicing.terms import plan_of
from valueverse.money import minor_units, round_decimal
from valueverse.value.architect.pricing import read_limit
from valueverse.value.architect.units import TIME
from valueverse.value.finance.fees import Binding, outcome_fee
from valueverse.value.realisation.cases import MONTHS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from valueverse.catalog.history import CatalogHistory
    from valueverse.subscriptions.timeline import Timeline
    from valueverse.value.architect.ir import Grain, Limit, Program
    from valueverse.value.realisation.cases import Commitment

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
                read, or its output is none of the model.
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
        if terms.series_name(program) is None:
            known = ", ".join(("total_benefit", "net_benefit", *(one.name for one in program.drivers)))
            raise RefusalError(
                "bad_outcome_charge",
                f"the model has no output {terms.output[:_MOST_TEXT]!r}; known are {known}",
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
    binding: Binding


def fee_of(
    terms: FeeTerms, program: Program, series: Mapping[str, Sequence[float]], proposed: Mapping[str, Decimal]
) -> Fee | None:
    """The fee that falls due with the last period of ``series``, None where no fee period ends there.

    Args:
        terms: of the charge.
        program: whose grain the series have.
        series: the realised case's, all periods so far.
        proposed: sums of standing proposals: ``to_date`` (all up to this period), ``period`` (those for this very one).
    """
    grain = MONTHS[program.axis.grain]
    length = max(MONTHS.get(terms.period, 1), grain)
    name = terms.series_name(program)
    assert name is not None  # noqa: S101 - judged when the terms were read
    values = series[name]
    months = len(values) * grain
    last = len(values) == program.axis.periods
    if months % length and not last:
        return None
    covered = months if terms.true_up == "cumulative" else (months - 1) % length + 1
    realised = sum((Decimal(repr(one)) for one in values[len(values) - covered // grain :]), Decimal(0))
    bounds = [None if one is None else _accrued(one, covered) for one in (terms.floor, terms.cap)]
    fee, binding = outcome_fee(realised, terms.share, bounds[0], bounds[1])
    to_date = round_decimal(fee, minor_units(terms.currency))
    amount = to_date - proposed["to_date" if terms.true_up == "cumulative" else "period"]
    if not terms.refund:
        amount = max(amount, Decimal(0))
    return Fee((months - 1) % length + 1, realised, to_date, amount, binding)


def _accrued(limit: Limit, months: int) -> Decimal:
    """A floor or cap pro rata: 120,000 a year is 10,000 a month."""
    times = Fraction(months, 12) / TIME[limit.per]
    return limit.amount * Decimal(times.numerator) / Decimal(times.denominator)


def charges_on(
    timeline: Timeline, history: CatalogHistory, tenant: str, commitment: Commitment, end: datetime
) -> list[tuple[str, str, Outcome]]:
    """Subscription, key and price of charges on the commit's model in the plans that hold last before ``end``."""
    if commitment.customer is None:
        return []
    held = (
        timeline.segments.filter(
            pl.col("tenant") == tenant, pl.col("customer") == commitment.customer, pl.col("from") < pl.lit(end)
        )
        .sort("from")
        .unique("subscription", keep="last")
        .sort("subscription")
    )
    found = []
    for row in held.iter_rows(named=True):
        catalog = history.catalogs[row["catalog_hash"]]
        plan, _ = plan_of(catalog, row["plan"], row["plan_version"], row["overrides"])
        found += [
            (row["subscription"], charge.key, charge.price)
            for charge in plan.charges
            if isinstance(charge.price, Outcome) and charge.price.value_model == commitment.program.model
        ]
    return found
