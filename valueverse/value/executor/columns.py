"""The Polars back end: a model over many rows in one query, one column for each node and period.

A row is a customer in a scenario, with one number for each input and period; ``evaluate`` is the other back end, for
draws. Both give the same values to a relative 1e-9. Everything is worked out row by row and in the order of the
program, so that the bits hang neither on threads nor on how many rows there are.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from valueverse.errors import RefusalError
from valueverse.value.architect.language.expressions import (
    Literal,
    Lookup,
    Operation,
    Period,
    Previous,
    Reference,
    RunningTotal,
)
from valueverse.value.executor.binding import naming
from valueverse.value.executor.cells import Operators, Part, expression_of
from valueverse.value.executor.numpy_backend import no_number

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from typing import NoReturn

    from numpy.typing import NDArray

    from valueverse.value.architect.language.expressions import Expression
    from valueverse.value.architect.program_ir import Node, Program
    from valueverse.value.executor.cells import Cell

    Floats = NDArray[np.float64]

KEYS = ("customer", "scenario")
MOST_COLUMNS = 250_000
"""Nodes x periods of one model: what is compiled within seconds."""
BLOCK_CELLS = 40_000_000
"""Rows x columns of one query: 320 MB if none could be dropped on the way."""
_SOUND = "@sound"


def column(name: str, t: int) -> str:
    """The column of an input or node in period ``t``; what does not vary in time has period 1 alone."""
    return f"{name}@{t}"


def columns_of(name: str, values: Floats) -> list[pl.Series]:
    """The columns of an input: rows x periods, or rows x 1 where all periods are alike."""
    return [pl.Series(column(name, t + 1), values[:, t]) for t in range(values.shape[1])]


def array_of(frame: pl.DataFrame, name: str) -> Floats:
    """The values of an input or node: rows x periods, or rows x 1."""
    return frame.select(pl.col(f"^{name.replace('.', '[.]')}@[0-9]+$")).to_numpy()


def evaluate_columns(program: Program, rows: pl.DataFrame, wanted: Collection[str]) -> pl.DataFrame:
    """Some nodes and inputs of every row.

    Args:
        program: what to compute; all of its nodes are, and have to have a number.
        rows: KEYS, and the columns of every input.
        wanted: names of nodes and inputs.

    Returns:
        KEYS and the columns of what is wanted, rows in their order.

    Raises:
        RefusalError: ``no_number``, as ``evaluate``, with the customer; ``too_large``: more than MOST_COLUMNS.
    """
    size = sum(program.axis.periods if node.varies_in_time else 1 for node in program.nodes)
    if size > MOST_COLUMNS:
        message = f"{size} values (names x periods) for each customer are too many: at most {MOST_COLUMNS}"
        raise RefusalError("too_large", f"{message}; take fewer periods", "axis.periods")
    query = _Query(program, rows.columns)
    height = max(BLOCK_CELLS // (size + rows.width), 1)
    return pl.concat([query.run(block, wanted) for block in rows.iter_slices(height)] or [query.run(rows, wanted)])


class _Plan:
    """Columns in stages: each stage reads those of the stages before it."""

    def __init__(self) -> None:
        self.stages: list[dict[str, pl.Expr]] = []
        self.judged: list[list[str]] = []
        self.last_read: dict[str, int] = {}
        self.filled: dict[str, float] = {}

    def fill(self, number: float) -> Part:
        """A column that is there from the beginning and holds one number throughout."""
        name = f"@{number!r}"
        self.filled[name] = number
        return _there(name, ordered=False)

    def add(self, name: str, part: Part) -> Part:
        """Make a column of a part; it is there from the next stage on."""
        while len(self.stages) <= part.stage:
            self.stages.append({})
        self.stages[part.stage][name] = part.expression
        self._read(part.reads, part.stage)
        return Part(pl.col(name), frozenset((name,)), part.stage + 1, is_column=True)

    def judge(self, part: Part) -> None:
        """Have the values of a column judged: they have to be finite."""
        while len(self.judged) <= part.stage:
            self.judged.append([])
        self.judged[part.stage] += part.reads
        self._read(part.reads, part.stage)

    def _read(self, names: Iterable[str], stage: int) -> None:
        for name in names:
            self.last_read[name] = max(stage, self.last_read.get(name, 0))

    def build(self, rows: pl.DataFrame, kept: Collection[str]) -> pl.LazyFrame:
        """The query; what is read no more is dropped as soon as it is more than the rest."""
        depth = max(len(self.stages), len(self.judged))
        dying: list[list[str]] = [[] for _ in range(depth + 1)]
        for name, stage in self.last_read.items():
            if name not in kept:
                dying[stage].append(name)
        found, alive, dead = (
            rows.with_columns(self._full(rows.height)).lazy(),
            dict.fromkeys((*rows.columns, *self.filled, _SOUND)),
            set[str](),
        )
        for stage in range(depth):
            new = dict(self.stages[stage]) if stage < len(self.stages) else {}
            alive.update(dict.fromkeys(new))
            if stage < len(self.judged) and self.judged[stage]:
                new[_SOUND] = pl.all_horizontal(_SOUND, pl.col(self.judged[stage]).is_finite())
            found = found.with_columns(**new)
            dead.update(dying[stage])
            if 2 * len(dead) > len(alive):
                alive = dict.fromkeys(name for name in alive if name not in dead)
                found, dead = found.select(list(alive)), set()
        return found

    def _full(self, height: int) -> list[pl.Series]:
        """Arrays and not literals, or Polars would take them for the scalars they are."""
        return [pl.Series(name, np.full(height, number)) for name, number in self.filled.items()]


class _Query:
    """A program compiled for rows with certain input columns."""

    def __init__(self, program: Program, columns: Sequence[str]) -> None:
        self.program = program
        self.plan = _Plan()
        self.operators = Operators(self._kept, self.plan.fill)
        self.values: dict[str, list[Cell]] = {}
        self.totals: dict[str, list[Cell]] = {}
        self.counted = 0
        self.sound = True
        known = set(columns)
        for one in program.inputs:
            names = [column(one.name, t) for t in range(1, program.axis.periods + 1)]
            self.values[one.name] = [_there(name) for name in names if name in known]
        nodes = {node.name: node for node in program.nodes}
        with np.errstate(all="ignore"):
            for component in program.components:
                self._compile([nodes[name] for name in component.names])

    def run(self, rows: pl.DataFrame, wanted: Collection[str]) -> pl.DataFrame:
        found = self._collected(rows, wanted)
        unsound = found[_SOUND].eq(other=False).arg_true()
        if len(unsound):
            self._refuse(rows.slice(unsound[0], 1))
        return found.drop(_SOUND)

    def _collected(self, rows: pl.DataFrame, wanted: Collection[str]) -> pl.DataFrame:
        cells = {column(name, t): cell for name in wanted for t, cell in enumerate(self.values[name], 1)}
        kept = {name for cell in cells.values() if isinstance(cell, Part) for name in cell.reads}
        several = rows if rows.height != 1 else _twice(rows)
        query = self.plan.build(several.with_columns(pl.lit(self.sound).alias(_SOUND)), kept)
        shown = {name: expression_of(cell) for name, cell in cells.items()}
        # The plan is in order as it is: to optimise thousands of columns takes longer than to compute them. And in
        # memory: the streaming engine cuts rows by the number of threads, down to single ones.
        found = query.select(*KEYS, _SOUND, **shown)
        return found.collect(engine="in-memory", optimizations=pl.QueryOptFlags.none()).head(rows.height)

    def _refuse(self, row: pl.DataFrame) -> NoReturn:
        """Raise the refusal of the first node and period without a number in a row."""
        names = [node.name for node in self.program.nodes]
        found = self._collected(row, names)
        for node in self.program.nodes:
            values = array_of(found, node.name)[0]
            wrong = np.flatnonzero(np.isinf(values) | np.isnan(values))
            if len(wrong):
                where = f" in period {wrong[0] + 1}" if len(values) > 1 else ""
                with naming(row["customer"][0]):
                    raise no_number(node, f"{where} of the scenario {row['scenario'][0]!r}")
        raise AssertionError("a row without a number has a node without one")

    def _compile(self, members: Sequence[Node]) -> None:
        periods = self.program.axis.periods if members[0].varies_in_time else 1
        for node in members:
            self.values[node.name] = [0.0] * periods
        for t in range(1, periods + 1):
            for node in members:
                self.values[node.name][t - 1] = self._judged(node, t, self._of(node.expression, t))

    def _judged(self, node: Node, t: int, cell: Cell) -> Cell:
        if not isinstance(cell, Part):
            self.sound = self.sound and math.isfinite(cell)
            return cell
        made = cell if cell.is_column else self.plan.add(column(node.name, t), cell)
        self.plan.judge(made)
        return replace(made, ordered=True)

    def _kept(self, part: Part) -> Part:
        self.counted += 1
        return self.plan.add(f"@kept{self.counted}", part)

    def _at(self, name: str, t: int) -> Cell:
        cells = self.values[name]
        return cells[t - 1] if len(cells) > 1 else cells[0]

    def _of(self, expression: Expression, t: int) -> Cell:  # noqa: PLR0911 - one per kind of expression
        match expression:
            case Literal(value=value):
                return value
            case Reference(name=name):
                return self._at(name, t)
            case Period():
                return float(t)
            case Previous(name=name, lag=lag, initial=initial):
                return self._of(initial, t) if t <= lag else self._at(name, t - lag)
            case RunningTotal(name=name):
                return self._total(name, t)
            case Lookup(argument=argument, values=values):
                return self.operators.lookup(
                    expression, self._of(argument, t), lambda place: self._of(values[place], t)
                )
            case Operation(operator="if", arguments=arguments):
                return self._chosen(arguments, t)
            case Operation(operator=operator, arguments=arguments):
                return self.operators.operate(operator, [self._of(argument, t) for argument in arguments])

    def _chosen(self, arguments: Sequence[Expression], t: int) -> Cell:
        condition, then, otherwise = arguments
        held = self._of(condition, t)
        if not isinstance(held, Part):
            return self._of(then if held else otherwise, t)
        return self.operators.choose(held, self._of(then, t), self._of(otherwise, t))

    def _total(self, name: str, t: int) -> Cell:
        totals = self.totals.setdefault(name, [])
        while len(totals) < t:
            cell = self._at(name, len(totals) + 1)
            whole = self.operators.operate("add", [totals[-1], cell]) if totals else cell
            totals.append(self._kept(whole) if isinstance(whole, Part) and not whole.is_column else whole)
        return totals[t - 1]


def _twice(row: pl.DataFrame) -> pl.DataFrame:
    """A single row passes for a scalar, and powers and quotients of scalars have other last bits; so does its copy."""
    return pl.DataFrame([pl.Series(one.name, [one[0], one[0]], dtype=one.dtype) for one in row])


def _there(name: str, *, ordered: bool = True) -> Part:
    return Part(pl.col(name), frozenset((name,)), 0, is_column=True, ordered=ordered)
