"""Whose copy a report is: what a vendor keeps to itself, and all that would give it away, is left out of a customer's.

A customer may be shown what it used, what it was invoiced and the value it realised; never the cost to serve it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from valueverse.value.architect import Binding

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import Any

    from valueverse.value.architect import Program

INTERNAL_METRICS = frozenset({"billing.cost_to_serve"})
INTERNAL_COLUMNS = frozenset(
    ("fct_unit_economics", column) for column in ("cost_to_serve", "gross_margin", "gross_margin_ratio")
)
"""Mart and column: a metric that a catalog registers on one of them is internal, whatever its name."""
NOTE = "Figures that the vendor keeps to itself are part of this model: what they enter is not shown."


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
    def case(self) -> bool:
        """Whether totals over the whole model (net present value, cash flow, what moves it) would give them away."""
        return bool(self.inputs)

    @property
    def benefit(self) -> bool:
        """Whether a benefit depends on them."""
        return any(name.startswith("driver.") for name in self.nodes)


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
