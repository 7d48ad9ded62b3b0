"""Whose copy a report is: what a vendor keeps to itself, and all that would give it away, is left out of a customer's.

A customer may be shown what it used, what it was invoiced and the value it realised; never the cost to serve it. Its
copy is made of the part of the model that no internal input reaches, and every total adds up that part: the page is
the same whatever the internal numbers are, so that nothing on it can be subtracted from something else to find them
(docs/decisions/1452).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from valueverse.errors import RefusalError
from valueverse.value.architect import Binding, Correlation, Outputs, Scenario
from valueverse.value.architect.compiler import FINANCIAL_METRICS
from valueverse.value.report import formatting

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from typing import Any

    from valueverse.value.architect import Program, Target

_T = TypeVar("_T")
INTERNAL_METRICS = frozenset({"billing.cost_to_serve"})
INTERNAL_COLUMNS = frozenset(
    ("fct_unit_economics", column) for column in ("cost_to_serve", "gross_margin", "gross_margin_ratio")
)
"""Mart and column: a metric that a catalog registers on one of them is internal, whatever its name."""
NOTE = "Figures that the vendor keeps to itself are part of this model: what they enter is not shown."
TOTALS_NOTE = "Each total adds up what is shown, and nothing else."
_TOTALS: Mapping[str, tuple[str, ...]] = dict.fromkeys(FINANCIAL_METRICS, ("driver.", "cost.")) | {
    "total_benefit": ("driver.",),
    "pv_benefit": ("driver.",),
    "total_cost": ("cost.",),
    "pv_cost": ("cost.",),
}
"""Metric -> the beginnings of the names of the nodes that it adds up."""


class Audience(StrEnum):
    """Whom a copy is for."""

    CUSTOMER = "customer"
    VENDOR = "vendor"


@dataclass(frozen=True)
class Withheld:
    """What a copy leaves out.

    Attributes:
        inputs: names of inputs that are internal, or measured by an internal metric.
        nodes: every node they reach.
    """

    inputs: frozenset[str] = frozenset()
    nodes: frozenset[str] = frozenset()

    @property
    def money(self) -> bool:
        """Whether a driver or a cost depends on them, so that totals are those of the others."""
        return any(name.startswith(("driver.", "cost.")) for name in self.nodes)

    @property
    def note(self) -> str:
        """What a reader learns of it; empty: nothing is left out."""
        if not self.inputs:
            return ""
        return f"{NOTE} {TOTALS_NOTE}" if self.money else NOTE

    def holds(self, output: str) -> bool:
        """Whether a name that a fee or a statement may be about is withheld, or adds up something withheld."""
        if output in _TOTALS:
            return any(name.startswith(_TOTALS[output]) for name in self.nodes)
        return output in self.inputs or not self.nodes.isdisjoint((output, f"driver.{output}", f"cost.{output}"))


NOTHING = Withheld()


def withheld(
    program: Program, audience: Audience, internal: Collection[str] = (), document: Mapping[str, Any] | None = None
) -> Withheld:
    """What this audience is not shown of a model.

    Args:
        program: as agreed, its inputs bound to metrics.
        audience: whom the copy is for.
        internal: names of registered metrics on INTERNAL_COLUMNS.
        document: the model's canonical one, whose inputs may say that they are internal.
    """
    if audience is Audience.VENDOR:
        return NOTHING
    metrics = INTERNAL_METRICS | set(internal)
    sources = [(one.name, one.source) for one in program.inputs]
    sources += [found for scenario in program.scenarios for found in scenario.overrides.items()]
    measured = {name for name, one in sources if isinstance(one, Binding) and one.metric in metrics}
    stated = {name for name, one in (document or {}).get("inputs", {}).items() if one.get("internal")}
    inputs = frozenset(measured | stated)
    return Withheld(inputs, frozenset(node.name for node in program.nodes if node.inputs & inputs))


def shown_program(program: Program, hidden: Withheld) -> Program:
    """The part of a program that no withheld input reaches; sums and metrics are those of this part."""
    if not hidden.inputs:
        return program
    return replace(
        program,
        inputs=tuple(one for one in program.inputs if one.name not in hidden.inputs),
        correlations=tuple(filter(None, (_shown_correlation(one, hidden) for one in program.correlations))),
        nodes=tuple(one for one in program.nodes if one.name not in hidden.nodes),
        components=tuple(one for one in program.components if hidden.nodes.isdisjoint(one.names)),
        drivers=tuple(one for one in program.drivers if one.node not in hidden.nodes),
        costs=tuple(one for one in program.costs if one.node not in hidden.nodes),
        scenarios=tuple(Scenario(one.name, shown_inputs(one.overrides, hidden)) for one in program.scenarios),
        outputs=_shown_outputs(program, hidden),
    )


def shown_inputs(by_name: Mapping[str, _T], hidden: Withheld) -> dict[str, _T]:
    """Things by the names of inputs, without the withheld ones."""
    return {name: one for name, one in by_name.items() if name not in hidden.inputs}


def _shown_correlation(group: Correlation, hidden: Withheld) -> Correlation | None:
    """A group of correlated inputs without the withheld ones; None where fewer than two are left."""
    places = [place for place, name in enumerate(group.names) if name not in hidden.inputs]
    if len(places) < 2:
        return None
    matrix = tuple(tuple(group.matrix[row][column] for column in places) for row in places)
    return Correlation(tuple(group.names[place] for place in places), matrix)


def _shown_outputs(program: Program, hidden: Withheld) -> Outputs:
    asked = program.outputs
    money = not hidden.nodes.issuperset(
        [one.node for one in program.drivers] + [one.node for one in program.costs],
    )

    def shown(target: Target) -> bool:
        return money if target.node is None else target.node not in hidden.nodes | hidden.inputs

    # A statement about a total would be about that of the others, which nobody stated.
    statements = tuple(one for one in asked.probabilities if not any(map(hidden.holds, one.names)))
    tornado, sobol = (tuple(one for one in names if not hidden.holds(one)) for names in (asked.tornado, asked.sobol))
    return Outputs(tuple(filter(shown, asked.targets)), asked.percentiles, statements, tornado, sobol)


def check_proposal(program: Program, hidden: Withheld) -> None:
    """Refuse a proposal in which a customer could not read what it is asked to sign.

    Args:
        program: as agreed, whole.
        hidden: what the customer's copy leaves out.

    Raises:
        RefusalError: ``internal_numbers``: every benefit (of a model without money, every result), or the number that
            the fee is a share of, depends on an internal input.
    """
    signed = [one.node for one in program.drivers] or [one.name for one in program.nodes if one.kind == "variable"]
    entered = [one for one in signed if one in hidden.nodes]
    named = "every benefit" if program.drivers else "every result"
    what = f"{named} ({_names(entered)})" if signed and len(entered) == len(signed) else ""
    fee = program.pricing
    if not what and fee is not None and hidden.holds(fee.output):
        what = f"what the fee is a share of ({formatting.name(fee.output)})"
        prefixes = _TOTALS.get(fee.output, (fee.output, f"driver.{fee.output}"))
        entered = [one for one in sorted(hidden.nodes) if one.startswith(prefixes)]
    if what:
        read = {name for node in program.nodes if node.name in entered for name in node.inputs & hidden.inputs}
        raise RefusalError(
            "internal_numbers",
            f"the proposal cannot state {what} without the vendor's own numbers: it is computed from "
            f"{_names(sorted(read))}, which a customer is not shown. Propose a model that computes it from inputs that "
            "are not internal (value commit --parent), or write the vendor's own copy with --internal",
            "--commit",
        )


def _names(identifiers: Sequence[str]) -> str:
    return formatting.listing([formatting.name(one) for one in identifiers])


def shown_document(document: Mapping[str, Any], hidden: Withheld) -> Mapping[str, Any]:
    """A model's document without the withheld inputs, what they reach, and evidence that only these refer to."""
    if not hidden.inputs:
        return document
    shown = dict(document)
    for section in ("inputs", "drivers", "costs"):
        prefix = "" if section == "inputs" else f"{section[:-1]}."
        names = hidden.inputs if section == "inputs" else hidden.nodes
        shown[section] = {name: one for name, one in document.get(section, {}).items() if prefix + name not in names}
    before, after = _referred(document), _referred(shown)
    evidence = document.get("evidence", {})
    shown["evidence"] = {key: one for key, one in evidence.items() if key in after or key not in before}
    return shown


def _referred(document: Mapping[str, Any]) -> set[str]:
    entries = [one for section in ("inputs", "drivers", "costs") for one in document.get(section, {}).values()]
    return {key for one in entries if isinstance(one, dict) for key in one.get("evidence", ())}
