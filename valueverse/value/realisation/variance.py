"""Why two cases of a commit differ: what each input adds to the difference (Shapley shares, decision 1005).

A share is the average, over all orders in which the inputs could change from one case to the other, of what the output
moves when this input's turn comes (Shapley, "A value for n-person games", 1953). Shares add up to the whole difference,
inputs that act alike have equal ones, and an input that moves nothing has 0.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from valueverse.errors import RefusalError
from valueverse.money import largest_remainder, minor_units
from valueverse.schemas.types import EXACT, PLACES
from valueverse.value.executor import evaluate_program, money_of
from valueverse.value.realisation.case_runs import NO_SUM, SUMS, adds_up, series_name, series_of, truncated_program

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from valueverse.value.architect import Program
    from valueverse.value.realisation.case_runs import CaseRun, Commitment

    Floats = NDArray[np.float64]

MOST_EXACT = 12
"""Inputs whose combinations are all worked out: 4,096 of them."""
ORDERS = 128
"""Orders of inputs, each also taken backwards, that stand for all of them where there are more inputs."""
_BLOCK_CELLS = 65_536
_DIGITS = 6
_LARGEST = 10**18


@dataclass(frozen=True)
class Share:
    """What one input adds to the difference.

    Attributes:
        input: its name.
        unit: of its values.
        before, after: its value in either run: the mean over the periods compared.
        share: of the output's difference, exact, in the output's unit.
        shown: the same, rounded so that all shown shares add up to the shown difference.
    """

    input: str
    unit: str
    before: float
    after: float
    share: Fraction
    shown: Decimal


@dataclass(frozen=True)
class Variance:
    """A difference and what makes it up.

    Attributes:
        output: the series: ``benefit``, ``driver.saving`` ...
        unit: of before, after, difference and the shares.
        cases: of the two runs.
        period: the last one compared, or the only one.
        to_date: whether periods 1..``period`` are added up.
        before, after, difference: exact, of the evaluated floats; difference = after - before = the sum of the shares.
        shown: before, after and difference rounded: money to its minor unit, else to 6 significant digits.
        shares: of every input that differs, the largest first; those of equal size by name.
        method: ``exact``, or ``permutations`` where more than MOST_EXACT inputs differ and reach the output: an average
            over 2 x ORDERS orders, always the same ones. Both add up exactly.
    """

    output: str
    unit: str
    cases: tuple[str, str]
    period: int
    to_date: bool
    before: Fraction
    after: Fraction
    difference: Fraction
    shown: tuple[Decimal, Decimal, Decimal]
    shares: list[Share]
    method: str


def explain_variance(
    commitment: Commitment, before: CaseRun, after: CaseRun, output: str = "benefit", *, period: int | None = None
) -> Variance:
    """What every input that differs between two runs adds to the difference of an output.

    Both runs are of the same commit and month and are compared over the same periods, 1..n, of which n ends with the
    month: what a case says about later periods does not count. The output is the sum over them, to date.

    Args:
        commitment: whose runs.
        before: run to start from, such as the committed case.
        after: run to arrive at, such as the realised case.
        output: ``benefit``, ``cost``, ``net``, or the name of a driver, cost or variable that is money; any other
            variable only with ``period``.
        period: of 1..n: the value of this period alone.

    Raises:
        RefusalError: ``different_periods``, ``unknown_output``, ``bad_period``, ``no_sum``; ``no_number``: a
            combination of inputs of both runs has none, with its inputs; ``out_of_range``: too large to be shown.
    """
    last = _last(before, after, period)
    program, name = _pruned(truncated_program(commitment.program, last), output)
    if period is None and not adds_up(program, name):
        raise RefusalError("no_sum", NO_SUM.format(output), "output")
    sides = [{one: _values(run, one, last) for one in run.document["inputs"]} for run in (before, after)]
    differing = sorted(one for one in sides[0] if not np.array_equal(sides[0][one], sides[1][one]))
    reached = {one for node in program.nodes for one in node.inputs}
    players = [one for one in differing if one in reached]
    game = _Game(program, name, (before.case, after.case), sides, players, only_last=period is not None)
    return _as_reported(game, {one: Fraction(0) for one in differing} | game.shares())


def _last(before: CaseRun, after: CaseRun, period: int | None) -> int:
    """The last period compared."""
    for field in ("commit", "period"):
        if before.document[field] != after.document[field]:
            sides = " and ".join(f"{run.case} has {run.document[field]}" for run in (before, after))
            message = f"the runs differ in their {field}: {sides}; compare runs of one commit and month"
            raise RefusalError("different_periods", message, field)
    last = int(before.document["period"])
    if period is not None and not 1 <= period <= last:
        raise RefusalError("bad_period", f"period {period}: the runs have 1 to {last}", "period")
    return period or last


def _values(run: CaseRun, name: str, periods: int) -> Floats:
    found = np.array([run.document["inputs"][name]], dtype=np.float64)[:, :periods]
    return np.broadcast_to(found, (1, periods))


def _is_money(name: str) -> bool:
    return name in SUMS or "." in name


def _pruned(program: Program, output: str) -> tuple[Program, str]:
    """What of a program the output needs, and the output's series: nothing else may have no number either."""
    name = series_name(program, output)
    drivers = tuple(one for one in program.drivers if name in {"benefit", "net", f"driver.{one.name}"})
    costs = tuple(one for one in program.costs if name in {"cost", "net", f"cost.{one.name}"})
    roots = [one.node for one in drivers] + [one.node for one in costs] if _is_money(name) else [name]
    needed = _below(program, roots)
    return replace(
        program,
        drivers=drivers,
        costs=costs,
        nodes=tuple(node for node in program.nodes if node.name in needed),
        components=tuple(one for one in program.components if one.names[0] in needed),
    ), name


def _below(program: Program, names: Iterable[str]) -> set[str]:
    nodes = {node.name: node for node in program.nodes}
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in nodes and name not in found:
            found.add(name)
            waiting.extend(nodes[name].depends)
    return found


@dataclass
class _Game:
    """The output of every combination of inputs: a bit says that the input at its place is from the second run."""

    program: Program
    name: str
    cases: tuple[str, str]
    sides: Sequence[Mapping[str, Floats]]
    players: Sequence[str]
    only_last: bool

    def __post_init__(self) -> None:
        self.whole = 2 ** len(self.players) - 1
        self.exact = len(self.players) <= MOST_EXACT
        self.worth: dict[int, Fraction] = {}

    def shares(self) -> dict[str, Fraction]:
        """By player; they add up to the difference of the two ends."""
        if self.exact:
            self._work_out(range(self.whole + 1))
            return self._averaged_over_all()
        orders = list(self._orders())
        self._work_out({0, *(one for order in orders for one in self._steps(order))})
        found = dict.fromkeys(self.players, Fraction(0))
        for order in orders:
            before = self.worth[0]
            for place, after in zip(order, self._steps(order), strict=True):
                found[self.players[place]] += self.worth[after] - before
                before = self.worth[after]
        return {name: one / len(orders) for name, one in found.items()}

    def _averaged_over_all(self) -> dict[str, Fraction]:
        count = len(self.players)
        # Whole numbers over one denominator: thousands of fractions would each be reduced.
        common = math.lcm(*(one.denominator for one in self.worth.values()))
        whole = [one.numerator * (common // one.denominator) for _, one in sorted(self.worth.items())]
        orders = [math.factorial(size) * math.factorial(count - size - 1) for size in range(count)]
        found = {}
        for place, name in enumerate(self.players):
            bit = 1 << place
            moved = [0] * count
            for one in range(len(whole)):
                if not one & bit:
                    moved[one.bit_count()] += whole[one | bit] - whole[one]
            added = sum(times * by for times, by in zip(orders, moved, strict=True))
            found[name] = Fraction(added, math.factorial(count) * common)
        return found

    def _orders(self) -> Iterator[list[int]]:
        """Places of the players in orders that depend on nothing but their names, each also backwards."""
        for number in range(ORDERS):
            drawn = [hashlib.sha256(f"{number}/{name}".encode()).digest() for name in self.players]
            order = sorted(range(len(drawn)), key=drawn.__getitem__)
            yield order
            yield order[::-1]

    @staticmethod
    def _steps(order: Iterable[int]) -> Iterator[int]:
        """The combinations on the way from nobody to everybody."""
        combination = 0
        for place in order:
            combination |= 1 << place
            yield combination

    def _work_out(self, combinations: Collection[int]) -> None:
        wanted = sorted(combinations)
        size = max(_BLOCK_CELLS // self.program.axis.periods, 1)
        for start in range(0, len(wanted), size):
            block = wanted[start : start + size]
            try:
                rows = self._rows(block)
            except RefusalError as refusal:
                raise self._named(block, refusal) from refusal
            for one, row in zip(block, rows, strict=True):
                self.worth[one] = sum(map(Fraction, row), Fraction(0))

    def _rows(self, block: Sequence[int]) -> list[list[float]]:
        """Values of the output in the periods compared, a row per combination."""
        given = dict(self.sides[0])
        for place, name in enumerate(self.players):
            second = np.array([[one >> place & 1 == 1] for one in block])
            given[name] = np.where(second, self.sides[1][name], self.sides[0][name])
        values = evaluate_program(self.program, given)
        money = money_of(self.program, values) if _is_money(self.name) else None
        found = series_of(self.program, values, money)[self.name]
        wide = np.broadcast_to(found, (len(block), self.program.axis.periods))
        rows: list[list[float]] = (wide[:, -1:] if self.only_last else wide).tolist()
        return rows

    def _named(self, block: Sequence[int], refusal: RefusalError) -> RefusalError:
        """The refusal of the first combination that has no number, with its inputs."""
        for one in block:
            try:
                self._rows([one])
            except RefusalError as found:
                second = [name for place, name in enumerate(self.players) if one >> place & 1]
                mixed = f"with {', '.join(second) or 'no input'} as {self.cases[1]}, the rest as {self.cases[0]}, "
                return RefusalError(found.code, mixed + found.message, found.path)
        return refusal


def _as_reported(game: _Game, shares: Mapping[str, Fraction]) -> Variance:
    program = game.program
    money = _is_money(game.name) or (not game.only_last and adds_up(program, game.name))
    ends = game.worth[0], game.worth[game.whole]
    totals = (*ends, ends[1] - ends[0])
    places = minor_units(program.currency) if money and program.currency else _places(ends)
    minor = [_rounded(one, places) for one in totals]
    ordered = sorted(shares.items(), key=lambda one: (-abs(one[1]), one[0]))
    parts = _allocated([share for _, share in ordered], minor[2], places)
    known = {one.name: one.unit for one in program.inputs} | {one.name: one.unit for one in program.nodes}
    units = {name: "1" if unit is None else str(unit) for name, unit in known.items()}
    first, second = ({name: _mean(game, side[name]) for name in shares} for side in game.sides)
    return Variance(
        game.name,
        (program.currency or "1") if money else units[game.name],
        game.cases,
        program.axis.periods,
        not game.only_last,
        *totals,
        (_decimal(minor[0], places), _decimal(minor[1], places), _decimal(minor[2], places)),
        [
            Share(name, units[name], first[name], second[name], share, _decimal(part, places))
            for (name, share), part in zip(ordered, parts, strict=True)
        ],
        "exact" if game.exact else "permutations",
    )


def _mean(game: _Game, found: Floats) -> float:
    compared = found[0, -1:] if game.only_last else found[0]
    return math.fsum(compared.tolist()) / len(compared)


def _places(ends: Iterable[Fraction]) -> int:
    """Decimals that show the significant digits of the larger end; negative: tens, hundreds ..."""
    size = max(abs(float(one)) for one in ends)
    return _DIGITS - 1 - math.floor(math.log10(size)) if size else 0


def _rounded(number: Fraction, places: int) -> int:
    """In units of 10^-places, half away from zero."""
    scaled = abs(number) * Fraction(10) ** places
    if scaled >= _LARGEST:
        raise RefusalError("out_of_range", f"{float(number):.6g} is too large to be shown exactly", "output")
    return math.floor(scaled + Fraction(1, 2)) * (1 if number > 0 else -1)


def _decimal(minor: int, places: int) -> Decimal:
    return Decimal(f"{minor}E{-places}") if places > 0 else Decimal(minor * 10**-places)


def _allocated(shares: Sequence[Fraction], total: int, places: int) -> list[int]:
    """Shares in units of 10^-places that add up to ``total``, by largest remainder; the earlier of two equals first."""
    for one in shares:
        _rounded(one, places)
    # Cut off and not rounded, so that no share reaches the next whole unit.
    cut = [math.floor(one * Fraction(10) ** places * 10**PLACES) for one in shares]
    frame = pl.DataFrame(
        {"precise": [Decimal(f"{one}E-{PLACES}") for one in cut], "place": range(len(cut))},
        schema={"precise": EXACT, "place": pl.Int64},
    ).with_columns(pl.lit(value=True).alias("all"), pl.lit(total, pl.Int64).alias("total"))
    found = frame.select(largest_remainder(pl.col("precise"), pl.col("total"), ["all"], "place"))
    return found.to_series().to_list()
