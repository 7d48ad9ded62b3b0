"""What a model asks to be reported -> targets, percentiles, statements and sensitivities (docs/value-models.md)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic_core import PydanticCustomError

from valueverse.formula import FormulaError, parse
from valueverse.value.architect.document.numbers import numbers_from
from valueverse.value.architect.language.scope import Scope, TypingError
from valueverse.value.architect.language.type_checker import TypeChecker
from valueverse.value.architect.language.units import ONE
from valueverse.value.architect.program_ir import Outputs, Probability, Target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from valueverse.documents import Problems
    from valueverse.value.architect.document import model as document
    from valueverse.value.architect.language.units import Unit, UnitSystem
    from valueverse.value.architect.program_ir import Input, Node

MONEY_METRICS = ("npv", "total_benefit", "total_cost", "net_benefit", "pv_benefit", "pv_cost")
FINANCIAL_METRICS = ("roi", "npv", "irr", "payback", "discounted_payback", *MONEY_METRICS[1:])
"""What the drivers and costs of a model come to; MONEY of them in its currency."""
STATISTICS = ("mean", "variance", "percentiles", "tornado", "sobol")
_MOMENTS = ("mean", "variance")
_KEYWORDS = ("percentiles", "tornado", "sobol", "probability")
_STATEMENT = re.compile(r"(?:[pP]\()?(.*[<>=].*?)\)?\Z", re.DOTALL)
"""A statement where a name is expected: ``npv > 0`` or ``p(npv > 0)``."""
DEFAULT_PERCENTILES = (5.0, 50.0, 95.0)
DEFAULT_METRICS = ("roi", "npv", "irr", "payback", "total_benefit", "total_cost")


@dataclass
class _Asked:
    statistics: dict[str, dict[str, None]] = field(default_factory=dict)
    percentiles: set[float] = field(default_factory=set)
    probabilities: dict[str, str] = field(default_factory=dict)
    tornado: dict[str, None] = field(default_factory=dict)
    sobol: dict[str, None] = field(default_factory=dict)

    def sensitivity(self, kind: str) -> dict[str, None]:
        """The names whose tornado or Sobol indices are asked for."""
        return self.tornado if kind == "tornado" else self.sobol


class OutputCompiler:
    """Compiles outputs, collecting problems."""

    def __init__(
        self,
        model: document.Model,
        units: UnitSystem,
        inputs: Mapping[str, Input],
        nodes: Mapping[str, Node],
        problems: Problems,
    ) -> None:
        self.model = model
        self.units = units
        self.problems = problems
        self.targets: dict[str, Target] = {}
        self.measured: dict[str, Unit | None] = {}
        self._know_targets(inputs, nodes)
        self.asked = _Asked()

    def _know_targets(self, inputs: Mapping[str, Input], nodes: Mapping[str, Node]) -> None:
        """Every name that may be asked for: the model's own first, then what its money comes to."""
        model = self.model
        for key in model.costs:
            self._know(Target(key, "cost", f"cost.{key}"), nodes)
        for key in model.drivers:
            self._know(Target(key, "driver", f"driver.{key}"), nodes)
        for name, one in inputs.items():
            self.targets[name], self.measured[name] = Target(name, "input", name), one.unit
        for name in model.variables:
            self._know(Target(name, "variable", name), nodes)
        for kind, section in (("driver", model.drivers), ("cost", model.costs)):
            for key in section:
                node = f"{kind}.{key}"
                self._know(Target(node, "driver" if kind == "driver" else "cost", node), nodes)
        if not (model.drivers or model.costs):
            return
        for metric in FINANCIAL_METRICS:
            if metric in self.targets:
                path = f"variables.{metric}" if metric in model.variables else f"inputs.{metric}"
                message = f"{metric!r} is what drivers and costs come to; take another name"
                self.problems.add("bad_name", message, path)
            money = self.units.of(model.currency) if model.currency and metric in MONEY_METRICS else None
            self.targets[metric], self.measured[metric] = Target(metric, "metric", None), money
        self.measured |= {"roi": ONE, "irr": ONE}

    def _know(self, target: Target, nodes: Mapping[str, Node]) -> None:
        self.targets[target.name] = target
        node = nodes.get(target.node or "")
        self.measured[target.name] = node.unit if node else None

    def compile(self) -> Outputs:
        """The outputs asked for; where none are, what the money comes to, or every variable."""
        for index, entry in enumerate(self.model.outputs):
            path = f"outputs[{index}]"
            if isinstance(entry, str):
                self._plain(entry, path)
            else:
                self._mapping(entry, path)
        if not self.asked.statistics and not self.asked.probabilities:
            money = bool(self.model.drivers or self.model.costs)
            for name in DEFAULT_METRICS if money else self.model.variables:
                self._ask(name)
        self._settle_sensitivities()
        self._judge_clashes()
        targets = [
            Target(target.name, target.kind, target.node, tuple(one for one in STATISTICS if one in wanted))
            for target, wanted in ((self.targets[name], wanted) for name, wanted in self.asked.statistics.items())
        ]
        percentiles = tuple(sorted(self.asked.percentiles)) or DEFAULT_PERCENTILES
        probabilities = tuple(filter(None, map(self._probability, self.asked.probabilities.items())))
        return Outputs(tuple(targets), percentiles, probabilities, tuple(self.asked.tornado), tuple(self.asked.sobol))

    def _settle_sensitivities(self) -> None:
        """``tornado`` and ``sobol`` by themselves are of npv, or of the first name asked for."""
        first = "npv" if "npv" in self.targets else next(iter(self.asked.statistics), None)
        for asked in (self.asked.tornado, self.asked.sobol):
            if "" in asked:
                del asked[""]
                if first is not None and first not in asked:
                    asked[first] = None

    def _judge_clashes(self) -> None:
        """Refuse an output name under which a run reports something else."""
        asked = self.asked
        taken = {
            "percentiles": True,
            "tornado": asked.tornado,
            "sobol": asked.sobol,
            "probability": asked.probabilities,
        }
        for name, clashes in taken.items():
            if clashes and name in asked.statistics:
                message = f"{name!r} is what a run reports beside its outputs; rename what is called so"
                self.problems.add("bad_name", message, "outputs")

    def _ask(self, name: str, *statistics: str) -> None:
        self.asked.statistics.setdefault(name, {}).update(dict.fromkeys(statistics))

    def _known(self, name: object, path: str, wanted: object = None) -> bool:
        if isinstance(name, str) and name in self.targets:
            return True
        shown = str(name)
        stated = _STATEMENT.match(shown)
        if shown in FINANCIAL_METRICS:
            message = f"{shown} needs drivers or costs, and the model has neither"
        elif isinstance(wanted, list) and all(isinstance(one, int | float) for one in wanted):
            message = f"unknown output {shown[:60]!r}: numbers are asked for as {{percentiles: [5, 50, 95]}}"
        elif stated is not None:
            message = f"{shown[:60]!r} is no output: write the statement as {{probability: {stated[1][:60]!r}}}"
        else:
            self.problems.unknown(
                "unknown_name", f"unknown output {shown[:60]!r}", shown, {*_KEYWORDS, *self.targets}, path
            )
            return False
        self.problems.add("unknown_name", message, path)
        return False

    def _plain(self, entry: str, path: str) -> None:
        if entry in self.targets:
            self._ask(entry)
        elif entry in {"tornado", "sobol"}:
            self.asked.sensitivity(entry)[""] = None
        elif entry == "percentiles":
            self.asked.percentiles.update(DEFAULT_PERCENTILES)
        elif entry not in _MOMENTS:  # every uncertain output states these
            self._known(entry, path)

    def _mapping(self, entry: dict[str, Any], path: str) -> None:
        if "variable" in entry and "variable" not in self.targets:
            rest = {name: wanted for name, wanted in entry.items() if name != "variable"}
            self._statistics(entry["variable"], rest.pop("stats", rest), f"{path}.variable")
            return
        for name, wanted in entry.items():
            below = f"{path}.{name}"
            if name in self.targets:
                self._statistics(name, wanted, below)
            elif name == "percentiles":
                self._percentiles(wanted, below)
            elif name in _MOMENTS:
                for one in wanted if isinstance(wanted, list) else [wanted]:
                    self._statistics(one, name, below)
            elif name in {"tornado", "sobol"}:
                self._sensitivity(name, wanted, below)
            elif name == "probability":
                for statement in wanted if isinstance(wanted, list) else [wanted]:
                    self.asked.probabilities[str(statement)] = below
            else:
                self._known(name, below, wanted)

    def _percentiles(self, wanted: object, path: str) -> None:
        if wanted is True or wanted is None:
            self.asked.percentiles.update(DEFAULT_PERCENTILES)
            return
        try:
            numbers = numbers_from(wanted if isinstance(wanted, list) else [wanted], (1, 101))
        except PydanticCustomError as error:
            self.problems.add("bad_value", f"percentiles are numbers from 0 to 100: {error.message()}", path)
            return
        for number in numbers:
            if not 0 <= number <= 100:
                self.problems.add("bad_value", f"{number:g} is no percentile: from 0 to 100", path)
        self.asked.percentiles.update(numbers)

    def _sensitivity(self, kind: str, wanted: object, path: str) -> None:
        """``tornado: npv``, ``tornado: [npv, roi]``, ``tornado: true``, ``tornado: {output: npv}``."""
        if isinstance(wanted, dict) and set(wanted) == {"output"}:
            wanted = wanted["output"]
        if wanted is True or wanted is None:
            self.asked.sensitivity(kind)[""] = None
            return
        for name in wanted if isinstance(wanted, list) else [wanted]:
            if self._known(name, path):
                self.asked.sensitivity(kind)[str(name)] = None

    def _statistics(self, name: object, wanted: object, path: str) -> None:
        """``y: [mean, {percentiles: [5, 95]}]``, ``y: mean``, ``y: {mean: true, percentiles: [5]}``, ``y: true``."""
        if not self._known(name, path):
            return
        self._ask(str(name))
        if wanted is True or wanted is None:
            return
        for statistic in wanted if isinstance(wanted, list) else [wanted]:
            asked = statistic if isinstance(statistic, dict) else {statistic: None}
            for one, detail in asked.items():
                self._statistic(str(name), one, detail, path)

    def _statistic(self, name: str, statistic: object, detail: object, path: str) -> None:
        if statistic not in STATISTICS:
            shown = str(statistic)
            self.problems.unknown("unknown_name", f"unknown statistic {shown[:60]!r}", shown, STATISTICS, path)
        elif detail is not False:
            if statistic == "percentiles":
                self._percentiles(detail, path)
            elif statistic in {"tornado", "sobol"}:
                self.asked.sensitivity(str(statistic))[name] = None
            self._ask(name, str(statistic))

    def _probability(self, asked: tuple[str, str]) -> Probability | None:
        text, path = asked
        scope = Scope(self.units, self.measured, set(self.measured), self.units.of(self.model.axis.grain))
        judge = TypeChecker(text, scope)
        try:
            tree = parse(text, lambda name: name not in self.measured and self.units.knows(name))
            condition = judge.boolean(tree)
        except (FormulaError, TypingError) as error:
            reason = error.reason if isinstance(error, FormulaError) else error.message
            self.problems.add(error.code, reason, path, error.position)
            return None
        if judge.current.moves:
            self.problems.add("bad_formula", "a statement is about outputs, which have no period to look at", path, 0)
        return Probability(text, condition, tuple(sorted(judge.current.now)))
