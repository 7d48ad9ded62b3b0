"""Architect: the value model as a document, checked, and compiled to a typed intermediate form.

``parse_model`` reads, ``compile_model`` checks and compiles. Both refuse with every problem found.

The packages, each using only those before it: ``language`` (units, types and functions of expressions), ``program_ir``
(what executors run), ``document`` (what may stand where), ``compiler`` (document -> program), ``model_text`` (a program
for people).
"""

from valueverse.value.architect.model_text import source_text, tree_json, tree_text
from valueverse.value.architect.program_ir import (
    Binding,
    Correlation,
    Cost,
    Distribution,
    Driver,
    Grain,
    Input,
    Limit,
    Node,
    Outputs,
    Probability,
    Program,
    Scenario,
    Source,
    Target,
)

__all__ = [
    "Binding",
    "Correlation",
    "Cost",
    "Distribution",
    "Driver",
    "Grain",
    "Input",
    "Limit",
    "Node",
    "Outputs",
    "Probability",
    "Program",
    "Scenario",
    "Source",
    "Target",
    "source_text",
    "tree_json",
    "tree_text",
]
