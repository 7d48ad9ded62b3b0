"""Why an output is what it is: the tree of formulas, values and units below it, down to its inputs.

A part that several others read is one node. Every node can be worked out from its children alone, to
the same bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from valueverse.errors import RefusalError
from valueverse.value.architect.compiler import FINANCIAL_METRICS
from valueverse.value.architect.language import Previous, Reference, RunningTotal, child_expressions, expression_text
from valueverse.value.executor import evaluate_program, financial_metric, money_of
from valueverse.value.realisation.case_runs import NO_SUM, SUMS, adds_up, series_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from valueverse.value.architect import Cost, Driver, Input, Node, Program
    from valueverse.value.architect.language import Expression
    from valueverse.value.executor import Money
    from valueverse.value.realisation.sources import Sources

    Floats = NDArray[np.float64]

MOST_NODES = 50_000
RUNNING, UPFRONT, BEFORE = "running_cost", "upfront_cost", " before risk"
_OWN_NAMES = {*SUMS, *FINANCIAL_METRICS, RUNNING, UPFRONT}
_RATIOS = {"roi": "1", "irr": "1/year", "payback": "period", "discounted_payback": "period"}
DIFFERENCES = {"npv": ("pv_benefit", "pv_cost"), "net_benefit": ("total_benefit", "total_cost")}
DIFFERENCES |= {"roi": ("pv_benefit", "pv_cost")}
_TEXTS = {
    "npv": "pv_benefit - pv_cost",
    "net_benefit": "total_benefit - total_cost",
    "roi": "(pv_benefit - pv_cost) / pv_cost",
    "total_benefit": "the sum of benefit over all periods",
    "total_cost": "the sum of cost over all periods, and what is paid before",
    "pv_benefit": "the sum of benefit over all periods, discounted",
    "pv_cost": "the sum of cost over all periods, discounted, and what is paid before",
    "irr": "the annual rate at which benefit and cost of all periods are worth the same",
    "payback": "the periods after which benefit has paid for cost",
    "discounted_payback": "the periods after which discounted benefit has paid for discounted cost",
}


@dataclass(frozen=True, eq=False)
class Explained:
    """A number and what it is made of.

    Attributes:
        name: of the output, variable or input; ``driver.<key> before risk`` holds a driver's money before risk,
            attribution and decay, ``upfront_cost`` what is paid before the first period.
        period: the value's, 1 = first, 0 = before it; None: the same in all periods, or of all of them together.
        kind: ``metric``, ``total`` (to date), ``sum``, ``difference``, ``driver``, ``cost``, ``variable``, ``part``
            (what a formula looks back at or adds up) or ``input``.
        text: formula, as its author wrote it; of an input where its value comes from.
        unit: of the value.
        value: None: there is none, such as the rate of return of flows that have none.
        children: what the formula reads, in its order.
        flags: what was carried forward, defaulted or set to zero below: input, period, policy, value.
        source: of an input: kind, and what else is known of it (see ``sources``).
        expression: the formula as it is evaluated, conversions of units included; None where ``kind`` says it.
    """

    name: str
    period: int | None
    kind: str
    text: str
    unit: str
    value: float | None
    children: tuple[Explained, ...] = field(repr=False)
    flags: tuple[dict[str, Any], ...]
    source: dict[str, Any] | None = None
    expression: Expression | None = field(default=None, repr=False)

    @property
    def id(self) -> str:
        """``name@period``, the only one of its tree: a variable that is called like a sum or metric says its kind."""
        shared = self.kind in {"input", "variable"} and self.name in _OWN_NAMES
        name = f"{self.kind} {self.name}" if shared else self.name
        return name if self.period is None else f"{name}@{self.period}"

    def nodes(self) -> Iterator[Explained]:
        """This node and all below it, each once, parents first."""
        seen = {self.id}
        waiting = [self]
        while waiting:
            one = waiting.pop()
            yield one
            fresh = [child for child in one.children if child.id not in seen]
            seen.update(child.id for child in fresh)
            waiting.extend(reversed(fresh))

    def as_json(self) -> dict[str, Any]:
        """As data: children by their ids."""
        compiled = None if self.expression is None else expression_text(self.expression)
        shown: dict[str, Any] = {
            "id": self.id,
            "name": self.name,
            "period": self.period,
            "kind": self.kind,
            "text": self.text,
        }
        shown |= {"compiled": compiled, "unit": self.unit, "value": self.value}
        return shown | {
            "flags": list(self.flags),
            "source": self.source,
            "children": [child.id for child in self.children],
        }


@dataclass(frozen=True)
class Key:
    """A node to come: ``kind`` is that of ``Explained``, or ``node`` for what the program calls so."""

    kind: str
    name: str
    period: int | None


def explain_output(
    program: Program, given: Mapping[str, Floats], sources: Sources, output: str, period: int, *, to_date: bool = False
) -> Explained:
    """The tree of an output.

    Args:
        program: over the periods of the run.
        given: every input: 1 x periods or 1 x 1, as the run had them.
        sources: where they come from.
        output: a metric such as ``npv``; ``benefit``, ``cost``, ``net``; a driver, cost, variable or input.
        period: of an output that varies over time: its value in this period ...
        to_date: ... or the sum over the periods up to it.

    Raises:
        RefusalError: ``unknown_output``, ``bad_period``, ``no_number``; ``too_large``: more than MOST_NODES nodes.
    """
    if not 1 <= period <= program.axis.periods:
        raise RefusalError("bad_period", f"period {period}: the run has 1 to {program.axis.periods}", "period")
    return _Builder(program, given, sources).tree(output, period, to_date=to_date)


class _Builder:
    """One tree; a node's key says all that its children follow from."""

    def __init__(self, program: Program, given: Mapping[str, Floats], sources: Sources) -> None:
        self.program, self.sources = program, sources
        self.values = evaluate_program(program, given)
        self.nodes = {node.name: node for node in program.nodes}
        self.inputs = {one.name: one for one in program.inputs}
        self.drivers = {one.name: one for one in program.drivers}
        self.costs = {one.name: one for one in program.costs}
        self.running = RUNNING if any(one.at == 0 for one in program.costs) else "cost"
        self.outputs = self._outputs()

    @cached_property
    def money(self) -> Money:
        return money_of(self.program, self.values)

    @cached_property
    def series(self) -> dict[str, Floats]:
        return series_of(self.program, self.values, self.money)

    def _outputs(self) -> dict[str, tuple[str, str]]:
        """Kind and name by the name of an output; shared names get a prefix (``driver.``, ``cost.``)."""
        known = {name: ("input", name) for name in self.inputs}
        known |= {name: ("cost", name) for name in self.costs} | {name: ("driver", name) for name in self.drivers}
        known |= {one.name: ("node", one.name) for one in self.program.nodes if one.kind == "variable"}
        known |= {f"cost.{name}": ("cost", name) for name in self.costs}
        known |= {f"driver.{name}": ("driver", name) for name in self.drivers}
        if self.drivers or self.costs:
            known |= {name: ("sum", name) for name in SUMS} | {name: ("metric", name) for name in FINANCIAL_METRICS}
        return known

    def tree(self, output: str, period: int, *, to_date: bool) -> Explained:
        """Children before parents, without recursion: what looks back may be a long chain."""
        root = self._root(output, period, to_date=to_date)
        done: dict[Key, Explained] = {}
        waiting = [root]
        while waiting:
            key = waiting[-1]
            below = [] if key in done else self.below(key)
            missing = [one for one in below if one not in done]
            waiting.extend(reversed(missing))
            if not missing:
                waiting.pop()
                if key not in done:
                    done[key] = self.node(key, tuple(done[one] for one in below))
            if len(done) + len(waiting) > MOST_NODES:
                message = f"{output!r} is made of more than {MOST_NODES} values: ask for one period of one driver"
                raise RefusalError("too_large", message, "output")
        return done[root]

    def _root(self, output: str, period: int, *, to_date: bool) -> Key:
        if output not in self.outputs:
            raise RefusalError.unknown("unknown_output", f"no output {output[:60]!r}", output, self.outputs, "output")
        kind, name = self.outputs[output]
        if kind == "metric":
            return Key(kind, name, None)
        if not to_date or (kind == "cost" and self.costs[name].at == 0):
            return self.placed(kind, name, period)
        if kind == "input" or (kind == "node" and not adds_up(self.program, name)):
            raise RefusalError("no_sum", NO_SUM.format(output), "output")
        return Key("to_date", output, period)

    def placed(self, kind: str, name: str, period: int) -> Key:
        """The key of a value in a period; without it where all periods are alike."""
        if kind == "driver" and (driver := self.drivers[name]) == replace(driver, risk=0.0, attribution=1.0, decay=0.0):
            return self.placed("node", driver.node, period)
        if kind == "cost" and (cost := self.costs[name]) == replace(cost, risk=0.0, at=None):
            return self.placed("node", cost.node, period)
        if kind == "cost" and (at := self.costs[name].at) is not None:
            return Key(kind, name, period if at else 0)
        return Key(kind, name, period if self._width(kind, name) > 1 else None)

    def _width(self, kind: str, name: str) -> int:
        """1 where all periods are alike."""
        if kind == "driver":
            found = self.money.by_driver[name]
        elif kind != "sum":
            found = self.values[name] if kind in {"input", "node"} else self.money.by_cost[name]
        elif name == "benefit":
            found = self.money.benefits
        elif name == self.running:
            found = self.money.costs
        elif self.running == "cost":
            found = self.money.benefits - self.money.costs
        else:
            return self.program.axis.periods
        return int(found.shape[1])

    def below(self, key: Key) -> list[Key]:  # noqa: PLR0911 - one per kind of value
        """What a value is made of, in the order in which it is taken."""
        period = key.period or 1
        match key:
            case Key("input"):
                return []
            case Key("node"):
                reads = _reads(self.nodes[key.name].expression, period)
                return [self.placed("input" if name in self.inputs else "node", name, at) for name, at in reads]
            case Key("driver"):
                return [self.placed("node", self.drivers[key.name].node, period)]
            case Key("cost"):
                at = self.costs[key.name].at
                return [self.placed("node", self.costs[key.name].node, period)] if at in {None, key.period} else []
            case Key("to_date"):
                return self._all(*self.outputs[key.name], period)
            case Key("metric"):
                return self._below_metric(key.name)
        return self._below_sum(key.name, period)

    def _all(self, kind: str, name: str, periods: int) -> list[Key]:
        return list(dict.fromkeys(self.placed(kind, name, t) for t in range(1, periods + 1)))

    def _below_metric(self, name: str) -> list[Key]:
        if name in DIFFERENCES:
            return [Key("metric", one, None) for one in DIFFERENCES[name]]
        whole = self.program.axis.periods
        benefits = [] if name.endswith("_cost") else self._all("sum", "benefit", whole)
        if name.endswith("_benefit"):
            return benefits
        upfront = [Key("sum", UPFRONT, 0)] if self.running == RUNNING else []
        return benefits + self._all("sum", self.running, whole) + upfront

    def _below_sum(self, name: str, period: int) -> list[Key]:
        if name == "net":
            return [self.placed("sum", one, period) for one in ("benefit", "cost")]
        if name == "benefit":
            return [self.placed("driver", one, period) for one in self.drivers]
        if name == UPFRONT:
            return [self.placed("cost", one.name, 0) for one in self.costs.values() if one.at == 0]
        if name == self.running:
            return [self.placed("cost", one.name, period) for one in self.costs.values() if one.at != 0]
        return [self.placed("sum", RUNNING, period), *([Key("sum", UPFRONT, 0)] if period == 1 else [])]

    def _value(self, key: Key) -> float | None:
        place = max(key.period or 1, 1) - 1
        match key:
            case Key("input" | "node"):
                found = self.values[key.name]
            case Key("driver"):
                found = self.money.by_driver[key.name]
            case Key("cost"):
                upfront = key.period == 0
                found = self.money.upfronts[key.name][:, None] if upfront else self.money.by_cost[key.name]
            case Key("to_date"):
                kind, name = self.outputs[key.name]
                amounts = [self._value(self.placed(kind, name, t)) for t in range(1, place + 2)]
                return math.fsum(one for one in amounts if one is not None)
            case Key("metric"):
                found = financial_metric(self.program, self.money, key.name)[:, None]
            case _:
                found = self._sum(key.name)
        value = float(found[0, place if found.shape[1] > 1 else 0])
        return value if math.isfinite(value) else None

    def _sum(self, name: str) -> Floats:
        if name == "benefit":
            return self.money.benefits
        if name == UPFRONT:
            return self.money.upfront[:, None]
        if name == self.running:
            return self.money.costs
        return self.series[name]

    def node(self, key: Key, parts: tuple[Explained, ...]) -> Explained:
        """The value with what it is made of."""
        flags = {(one["input"], one["period"]): one for part in parts for one in part.flags}
        kind, name, text, unit = self._described(key)
        source, expression = None, None
        if key.kind == "input":
            source = self.sources.of(name, key.period)
            flags |= {(one["input"], one["period"]): one for one in self.sources.flags(name, key.period)}
        elif key.kind == "node":
            expression = self.nodes[key.name].expression
        ordered = tuple(one for _, one in sorted(flags.items()))
        return Explained(name, key.period, kind, text, unit, self._value(key), parts, ordered, source, expression)

    def _described(self, key: Key) -> tuple[str, str, str, str]:  # noqa: PLR0911 - one per kind of value
        """Kind, name, text and unit."""
        currency = self.program.currency or "1"
        match key:
            case Key("input"):
                return "input", key.name, self.sources.text(key.name, key.period), _unit(self.inputs[key.name])
            case Key("node"):
                node = self.nodes[key.name]
                text = expression_text(node.expression) if node.kind == "part" else " ".join(node.text.split())
                return node.kind, self._node_name(node), text, _unit(node)
            case Key("driver"):
                return "driver", f"driver.{key.name}", _adjusted(self.program, self.drivers[key.name]), currency
            case Key("cost"):
                return "cost", f"cost.{key.name}", _raised(self.costs[key.name], key.period), currency
            case Key("to_date"):
                return "total", f"{key.name} to date", f"the sum of {key.name} over the periods so far", currency
            case Key("metric"):
                return "metric", key.name, _metric_text(self.program, key.name), _RATIOS.get(key.name, currency)
        texts = [self._described(one)[1] for one in self.below(key)]
        text = f" {'-' if key.name == 'net' else '+'} ".join(texts) or "0"
        return "difference" if key.name == "net" else "sum", key.name, text, currency

    def _node_name(self, node: Node) -> str:
        kind, _, name = node.name.partition(".")
        adjusted = name and self.placed(kind, name, 1).kind == kind
        return f"{node.name}{BEFORE}" if adjusted else node.name


def _unit(one: Node | Input) -> str:
    return "1" if one.unit is None else str(one.unit)


def _metric_text(program: Program, name: str) -> str:
    discount, text = program.axis.discount, _TEXTS[name]
    rate = f", at {discount.rate:g} a year ({discount.compounding}, {discount.timing} of period)"
    return text + (rate if "discounted" in text else "")


def _adjusted(program: Program, driver: Driver) -> str:
    """The formula of ``financial_metrics.effect``."""
    parts = [f"{driver.node}{BEFORE}"]
    parts += [f"(1 - {driver.risk:g})"] if driver.risk else []
    parts += [f"{driver.attribution:g}"] if driver.attribution != 1 else []
    parts += [f"(1 - {driver.decay:g}) ^ ((t - 1) / {program.axis.periods_per_year})"] if driver.decay else []
    return " * ".join(parts)


def _raised(cost: Cost, period: int | None) -> str:
    if cost.at not in {None, period}:
        return f"nothing outside period {cost.at}"
    return f"{cost.node}{BEFORE}" + (f" * (1 + {cost.risk:g})" if cost.risk else "")


def _reads(expression: Expression, period: int) -> list[tuple[str, int]]:
    """Names that an expression reads in a period, each with the period it reads them of, in its order."""
    match expression:
        case Reference(name=name):
            found = [(name, period)]
        case Previous(name=name, lag=lag) if period > lag:
            found = [(name, period - lag)]
        case RunningTotal(name=name):
            found = [(name, t) for t in range(1, period + 1)]
        case _:
            found = [one for part in child_expressions(expression) for one in _reads(part, period)]
    return list(dict.fromkeys(found))
