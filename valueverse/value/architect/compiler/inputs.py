"""Inputs, scenarios and correlations of a document -> their compiled form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from valueverse.errors import RefusalError, did_you_mean
from valueverse.formula import FormulaError, parse
from valueverse.value.architect.document.distributions import distribution_of
from valueverse.value.architect.document.model import duration_parts
from valueverse.value.architect.language.expressions import Literal, Operation
from valueverse.value.architect.language.scope import Scope, TypingError
from valueverse.value.architect.language.type_checker import TypeChecker
from valueverse.value.architect.language.units import TIME, Unit
from valueverse.value.architect.program_ir import Binding, Correlation, Distribution, Input, Missing, Scenario, Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from valueverse.documents import Problems
    from valueverse.value.architect.document import model as document
    from valueverse.value.architect.language.expressions import Expression
    from valueverse.value.architect.language.units import UnitSystem

_LEAST_EIGENVALUE = 1e-9
_DAYS = frozenset({"second", "minute", "hour", "day", "week"})
"""Units of time that are days or parts or sums of them: between them and months lengths are averages."""
MAX_CORRELATED = 300
_FOLDS = {
    "add": lambda left, right: left + right,
    "subtract": lambda left, right: left - right,
    "multiply": lambda left, right: left * right,
    "divide": lambda left, right: left / right,
    "power": lambda left, right: left**right,
}


class InputCompiler:
    """Compiles what comes from outside, collecting problems."""

    def __init__(self, model: document.Model, units: UnitSystem, problems: Problems) -> None:
        self.model = model
        self.units = units
        self.problems = problems
        period = units.of(model.axis.grain)
        self.nothing = Scope(units, {}, (), period)

    def inputs(self) -> tuple[Input, ...]:
        """Every input, ascending by name."""
        found = []
        for name, given in self.model.inputs.items():
            path = f"inputs.{name}"
            unit = self.unit(given.unit, f"{path}.unit")
            source, unit = self._source(given, unit, path, stated=given.unit is not None)
            found.append(Input(name, unit, source, self._missing(given.missing, f"{path}.missing")))
        return tuple(found)

    def unit(self, text: str | None, path: str) -> Unit | None:
        """The unit a text names; None where there is no text, or (with a problem) no unit."""
        if text is None:
            return None
        try:
            return self.units.of(text)
        except RefusalError as refusal:
            self.problems.add(refusal.code, refusal.message, path, 0)
            return None

    def _source(
        self, given: document.Given, unit: Unit | None, path: str, *, stated: bool
    ) -> tuple[Source, Unit | None]:
        if given.dist is not None:
            return distribution_of(given.dist), unit
        if given.bind is not None:
            return self._binding(given.bind, f"{path}.bind"), unit
        if isinstance(given.value, list):
            periods = self.model.axis.periods
            if len(given.value) != periods:
                message = f"{len(given.value)} numbers for {periods} periods: write one per period, or a single one"
                self.problems.add("bad_value", message, f"{path}.value")
            return tuple(given.value), unit
        if isinstance(given.value, str):
            return self._quantity(given.value, unit, f"{path}.value", stated=stated)
        return given.value or 0.0, unit

    def _quantity(self, text: str, unit: Unit | None, path: str, *, stated: bool) -> tuple[float, Unit | None]:
        """A value such as ``60000 USD/year``, in the input's unit where it states one."""
        try:
            found = TypeChecker(text, self.nothing).number(parse(text, self.units.knows))
            value = _folded(found)
        except (TypingError, FormulaError) as refusal:
            reason = refusal.reason if isinstance(refusal, FormulaError) else refusal.message
            self.problems.add(refusal.code, reason, path, refusal.position)
            return 0.0, unit
        except (ArithmeticError, ValueError, TypeError):
            message = f"{text[:60]!r} is no number: write one such as 150000, '2 * pi' or '60000 USD/year'"
            self.problems.add("bad_value", message, path)
            return 0.0, unit
        if found.unit is None or not stated or unit is None:
            return value, unit if found.unit is None or unit is not None else found.unit
        if found.unit.dimension != unit.dimension:
            message = f"{text[:60]!r} is in {found.unit}, and the input is in {unit}"
            self.problems.add("unit_mismatch", message, path, 0)
            return 0.0, unit
        return value * found.unit.factor_to(unit), unit

    def _binding(self, bind: document.Binding, path: str) -> Binding:
        window = None if bind.window is None else self._periods(bind.window, f"{path}.window")
        return Binding(bind.metric, bind.agg, window, bind.window, bind.freeze)

    def _periods(self, text: str, path: str) -> int:
        """A duration as whole periods of the axis; months of days are of average length and rounded."""
        count, unit = duration_parts(text)
        grain = self.model.axis.grain
        length = count * TIME[unit] / TIME[grain]
        if length < 1:
            self.problems.add("bad_value", f"{text!r} is shorter than one period ({grain}) of the axis", path)
        elif length.denominator > 1 and (unit in _DAYS) == (grain in _DAYS):
            self.problems.add("bad_value", f"{text!r} is no whole number of periods ({grain}) of the axis", path)
        return max(round(float(length) + 1e-9), 1)

    def _missing(self, stated: Any, path: str) -> Missing:
        if isinstance(stated, str):
            return Missing("error" if stated == "error" else "zero" if stated == "zero" else "carry_forward")
        if "default" in stated:
            return Missing("default", value=stated["default"])
        return Missing("carry_forward", most=self._periods(stated["carry_forward"], f"{path}.carry_forward"))

    def scenarios(self, inputs: Mapping[str, Input]) -> tuple[Scenario, ...]:
        """The scenarios, ``base`` first where it is not among them."""
        found = [] if "base" in self.model.scenarios else [Scenario("base", {})]
        for name, overrides in self.model.scenarios.items():
            sources: dict[str, Source] = {}
            for key, given in overrides.items():
                path = f"scenarios.{name}.{key}"
                if key not in inputs:
                    message = f"scenario {name!r} sets {key!r}, which is no input"
                    self.problems.unknown("unknown_name", message, key, inputs, path)
                    continue
                sources[key], _ = self._source(given, inputs[key].unit, path, stated=inputs[key].unit is not None)
            found.append(Scenario(name, sources))
        return tuple(found)

    def correlations(self, inputs: Mapping[str, Input]) -> tuple[Correlation, ...]:
        """One matrix per group of inputs that are connected, its names ascending."""
        pairs: dict[tuple[str, str], float] = {}
        for index, stated in enumerate(self.model.correlations):
            path = f"correlations[{index}]"
            first, second = sorted(stated.between)
            wrong = [self._uncorrelatable(name, inputs) for name in (first, second)]
            sentences = [sentence for sentence in wrong if sentence]
            if first == second:
                sentences.append(f"{first!r} cannot be correlated with itself")
            elif (first, second) in pairs:
                sentences.append(f"{first!r} and {second!r} stand in an earlier correlation; keep one")
            for sentence in sentences:
                unknown = first not in inputs or second not in inputs
                self.problems.add("unknown_name" if unknown else "bad_correlation", sentence, f"{path}.between")
            if not -1 < stated.rho < 1:
                message = f"rho {stated.rho:g} is out of range: above -1 and below 1; one input can stand for two"
                self.problems.add("bad_correlation", message, f"{path}.rho")
            elif not sentences:
                pairs[first, second] = stated.rho
        return tuple(self._matrix(names, pairs) for names in _groups(pairs))

    def _uncorrelatable(self, name: str, inputs: Mapping[str, Input]) -> str:
        if name not in inputs:
            return f"unknown input {name!r}{did_you_mean(name, inputs).ending}"
        if not isinstance(inputs[name].source, Distribution):
            return f"{name!r} is not uncertain: only an input with a dist can be correlated"
        return ""

    def _matrix(self, names: list[str], pairs: Mapping[tuple[str, str], float]) -> Correlation:
        size = min(len(names), MAX_CORRELATED)
        if len(names) > size:
            message = f"{len(names)} inputs are connected by correlations: at most {size} may"
            self.problems.add("bad_correlation", message, "correlations")
        matrix = np.eye(size)
        for row, first in enumerate(names[:size]):
            for column, second in enumerate(names[row + 1 : size], row + 1):
                matrix[row, column] = matrix[column, row] = pairs.get((first, second), 0.0)
        least = float(np.linalg.eigvalsh(matrix)[0])
        if least < _LEAST_EIGENVALUE:
            message = (
                f"the correlations of {', '.join(names[:8])} contradict each other: their matrix is not positive "
                f"definite (least eigenvalue {least:.3g}); move some rho towards 0, or state the pairs left out, "
                "which count as 0"
            )
            self.problems.add("bad_correlation", message, "correlations")
        return Correlation(tuple(names), tuple(tuple(map(float, row)) for row in matrix))


def _folded(expression: Expression) -> float:
    """The value of an expression of numbers.

    Raises:
        TypeError: it is more than numbers and arithmetic; ArithmeticError, ValueError: it has no value.
    """
    match expression:
        case Literal(value=value):
            return value
        case Operation(operator="negate", arguments=(inside,)):
            return -_folded(inside)
        case Operation(operator=operator, arguments=(left, right)) if operator in _FOLDS:
            value = _FOLDS[operator](_folded(left), _folded(right))
            if isinstance(value, float) and abs(value) <= 1e15:
                return value
            raise ValueError
    raise TypeError


def _groups(pairs: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Names that are connected, ascending; groups by their first name."""
    group: dict[str, set[str]] = {}
    for first, second in pairs:
        joined = group.get(first, {first}) | group.get(second, {second})
        for name in joined:
            group[name] = joined
    return sorted({id(names): sorted(names) for names in group.values()}.values())
