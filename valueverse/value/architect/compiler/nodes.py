"""Variables, drivers and costs of a document -> nodes in order."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from valueverse.formula import Call, FormulaError, Name, names_in, parse
from valueverse.value.architect.compiler.graph import components, shortest_cycle
from valueverse.value.architect.language.expressions import Literal, Operation, converted, per_period
from valueverse.value.architect.language.functions import ARGUMENTS
from valueverse.value.architect.language.scope import Part, Scope, TypingError
from valueverse.value.architect.language.type_checker import CONSTANTS, TypeChecker
from valueverse.value.architect.program_ir import Binding, Component, Distribution, Node

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Literal as OneOf

    from valueverse.documents import Problems
    from valueverse.formula import Node as FormulaNode
    from valueverse.value.architect.compiler.inputs import InputCompiler
    from valueverse.value.architect.document import model as document
    from valueverse.value.architect.language.expressions import Expression
    from valueverse.value.architect.language.units import Unit
    from valueverse.value.architect.program_ir import Input, Scenario

MAX_EXPRESSION_DEPTH = 200
RESERVED = {*CONSTANTS, *ARGUMENTS, "true", "false", "null", "and", "or", "not"}


@dataclass(frozen=True)
class Draft:
    """A node in the making: what it is called, what it came from and where it stands."""

    name: str
    kind: OneOf["variable", "driver", "cost", "part"]
    path: str
    text: str
    part: Part = field(default_factory=lambda: Part(""))
    unit: Unit | None = None


class NodeCompiler:
    """Compiles what is worked out, collecting problems."""

    def __init__(self, model: document.Model, inputs: InputCompiler, given: Mapping[str, Input]) -> None:
        self.model = model
        self.inputs = inputs
        self.given = given
        self.problems: Problems = inputs.problems
        self.units = inputs.units
        self.known: dict[str, Unit | None] = {name: one.unit for name, one in given.items()}
        self.scope = Scope(self.units, self.known, {*given, *model.variables}, self.units.of(model.axis.grain))
        self.drafts: dict[str, Draft] = {}

    def compile(self, scenarios: Iterable[Scenario]) -> tuple[tuple[Node, ...], tuple[Component, ...]]:
        """Nodes in order and as components. What is wrong is left in ``problems``."""
        self._judge_names()
        trees = self._parsed()
        order = self._order({name: trees[name] for name in self.model.variables if name in trees})
        for name, variable in self.model.variables.items():
            if variable.unit is not None:
                self.known[name] = self.inputs.unit(variable.unit, f"variables.{name}.unit")
        for name in order:
            self._variable(name, trees[name])
        for name, one in (*self._named("driver"), *self._named("cost")):
            if name in trees:
                self._money(name, one, trees[name])
        return self._assembled(list(scenarios))

    def _named(self, kind: str) -> list[tuple[str, document.Driver | document.Cost]]:
        section: Mapping[str, document.Driver | document.Cost]
        section = self.model.drivers if kind == "driver" else self.model.costs
        return [(f"{kind}.{name}", one) for name, one in section.items()]

    def _judge_names(self) -> None:
        for section, names in (("inputs", self.model.inputs), ("variables", self.model.variables)):
            for name in names:
                if name in RESERVED:
                    message = f"{name!r} means something in expressions; take another name"
                    self.problems.add("bad_name", message, f"{section}.{name}")
        for name in self.model.variables:
            if name in self.given:
                message = f"{name!r} is an input too; rename one of them"
                self.problems.add("duplicate_name", message, f"variables.{name}")

    def _parsed(self) -> dict[str, FormulaNode]:
        """The tree of every expression that can be read; a name is no unit where it is an input or a variable."""
        names = self.scope.names
        knows = self.units.knows

        def is_unit(name: str) -> bool:
            return name not in names and knows(name)

        trees = {}
        for name, path, text in self._expressions():
            try:
                trees[name] = parse(text, is_unit, depth=MAX_EXPRESSION_DEPTH)
            except FormulaError as error:
                self.problems.add("bad_formula", error.reason, path, error.position)
        return trees

    def _expressions(self) -> Iterable[tuple[str, str, str]]:
        for name, variable in self.model.variables.items():
            yield name, f"variables.{name}.expr", variable.expr
        for key, driver in self.model.drivers.items():
            yield f"driver.{key}", f"drivers.{key}.expr", driver.expr
        for key, cost in self.model.costs.items():
            yield f"cost.{key}", f"costs.{key}.expr", cost.expr

    def _order(self, trees: Mapping[str, FormulaNode]) -> list[str]:
        """Variables, each after those it reads in the same period; a cycle is a problem."""
        graph = {name: [one for one in _read_now(tree) if one in trees] for name, tree in trees.items()}
        order: list[str] = []
        for group in components(graph):
            first = min(group, key=list(graph).index) if len(group) > 1 else group[0]
            if len(group) > 1 or first in graph[first]:
                way = " -> ".join(shortest_cycle({name: graph[name] for name in group}, first))
                message = f"a cycle within one period: {way}; let one look back with prev(x, 1, init=...)"
                self.problems.add("cycle", message, f"variables.{first}.expr")
            order.extend(group)
        return order

    def _variable(self, name: str, tree: FormulaNode) -> None:
        variable = self.model.variables[name]
        path = f"variables.{name}.expr"
        wanted = self.known.get(name)

        def finish(found: Expression, judge: TypeChecker) -> Expression:
            if wanted is None or found.unit is None:
                return found
            if found.unit.dimension != wanted.dimension:
                message = f"{name!r} is declared in {wanted}, and {_quoted(variable.expr)} gives {found.unit}"
                raise TypingError("unit_mismatch", message + judge.hint(wanted, found.unit), 0)
            return converted(found, wanted)

        found = self._typed(Draft(name, "variable", path, variable.expr), tree, finish)
        if variable.unit is None:
            self.known[name] = found

    def _money(self, name: str, one: document.Driver | document.Cost, tree: FormulaNode) -> None:
        kind, _, key = name.partition(".")
        path = f"{kind}s.{key}"
        stated = self.inputs.unit(one.unit, f"{path}.unit")

        def finish(found: Expression, judge: TypeChecker) -> Expression:
            if stated is not None and found.unit is not None and stated.dimension != found.unit.dimension:
                message = f"{path} is declared in {stated}, and {_quoted(one.expr)} gives {found.unit}"
                raise TypingError("unit_mismatch", message + judge.hint(stated, found.unit), 0)
            unit = found.unit if found.unit is not None else stated
            return self._amount(found, unit, judge, f"{_quoted(one.expr)} in {path}")

        draft = Draft(name, "driver" if kind == "driver" else "cost", f"{path}.expr", one.expr)
        self._typed(draft, tree, finish)

    def _amount(self, found: Expression, unit: Unit | None, judge: TypeChecker, what: str) -> Expression:
        """Money of one period: a flow times the length of a period, an amount as it is."""
        if self.model.currency is None or unit is None:
            return found
        money = self.units.of(self.model.currency)
        if unit.dimension == money.dimension:
            factor = unit.factor_to(money)
        elif unit.dimension == money.over(self.scope.period).dimension:
            factor, _ = per_period(unit, self.scope.period)
            factor *= unit.without_time().factor_to(money)
        else:
            message = f"{what} gives {unit}, not money: {money}/{self.model.axis.grain}, or {money} in each period"
            raise TypingError("unit_mismatch", message + judge.hint(money, unit), 0)
        return found if factor == 1.0 else Operation("multiply", (found, Literal(factor)), money)

    def _add(self, error: TypingError, path: str) -> None:
        self.problems.add(error.code, error.message, path, error.position, suggestion=error.suggestion)

    def _typed(
        self, draft: Draft, tree: FormulaNode, finish: Callable[[Expression, TypeChecker], Expression]
    ) -> Unit | None:
        """Type an expression and keep its node and parts; the unit found, None where it is bare or wrong."""
        judge = TypeChecker(draft.text, self.scope, draft.name)
        unknown = [one for one in names_in(tree) if one.dotted not in self.scope.names and one.dotted not in CONSTANTS]
        for name in unknown:
            self._add(judge.unknown_name(name), draft.path)
        if unknown:
            return None
        try:
            found = finish(judge.number(tree), judge)
        except TypingError as error:
            self._add(error, draft.path)
            return None
        judge.current.expression = found
        for part in judge.parts:
            self.drafts[part.name] = Draft(part.name, "part", draft.path, draft.text, part, part.expression.unit)
        money = self.model.currency if draft.kind != "variable" else None
        stated = self.units.of(money) if money else self.known.get(draft.name)
        self.drafts[draft.name] = replace(draft, part=judge.current, unit=stated if stated is not None else found.unit)
        return found.unit

    def _assembled(self, scenarios: list[Scenario]) -> tuple[tuple[Node, ...], tuple[Component, ...]]:
        now = {name: sorted(draft.part.now) for name, draft in self.drafts.items()}
        whole = {name: sorted(draft.part.now | draft.part.lagged) for name, draft in self.drafts.items()}
        place = {group[0]: index for index, group in enumerate(components(now))}
        moving, uncertain = self._moving(scenarios), self._uncertain(scenarios)
        reached: dict[str, frozenset[str]] = {name: frozenset((name,)) for name in self.given}
        nodes: dict[str, Node] = {}
        found = []
        for group in components(whole):
            names = tuple(sorted(group, key=lambda name: place.get(name, 0)))
            recurrent = len(names) > 1 or names[0] in whole[names[0]]
            below = frozenset[str]().union(*(reached.get(one, frozenset()) for name in names for one in whole[name]))
            moves = any(self.drafts[name].part.moves or any(one in moving for one in whole[name]) for name in names)
            for name in names:
                reached[name] = below
                if moves:
                    moving.add(name)
                draft = self.drafts[name]
                nodes[name] = Node(
                    name, draft.kind, draft.unit, draft.part.expression, draft.text, below, tuple(whole[name]),
                    varies_in_time=moves, varies_by_draw=not uncertain.isdisjoint(below), recurrent=recurrent,
                )  # fmt: skip
            found.append(Component(names, recurrent))
        return tuple(nodes.values()), tuple(found)

    def _moving(self, scenarios: list[Scenario]) -> set[str]:
        return set(
            self._whose(
                scenarios,
                lambda source: isinstance(source, tuple) or (isinstance(source, Binding) and source.frozen is None),
            )
        )

    def _uncertain(self, scenarios: list[Scenario]) -> frozenset[str]:
        return frozenset(self._whose(scenarios, lambda source: isinstance(source, Distribution)))

    def _whose(self, scenarios: list[Scenario], judged: Callable[[object], bool]) -> Iterable[str]:
        """Inputs whose source is judged so in the model or in any scenario."""
        yield from (name for name, one in self.given.items() if judged(one.source))
        for scenario in scenarios:
            yield from (name for name, source in scenario.overrides.items() if judged(source))


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


def _read_now(tree: FormulaNode) -> list[str]:
    """Names read in the same period: all but those that ``prev`` looks back at."""
    found: dict[str, None] = {}
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Name):
            found[node.dotted] = None
        elif isinstance(node, Call) and node.function == "prev":
            waiting.extend((*node.arguments[1:], *(given for name, given in node.named.items() if name != "x")))
        else:
            waiting.extend(reversed(node.children))
    return list(found)
