"""The language of a model's expressions: units, types, functions; every expression is checked before it is run."""

from valueverse.value.architect.language.expressions import (
    Expression,
    Literal,
    Lookup,
    Operation,
    Period,
    Previous,
    Reference,
    RunningTotal,
    child_expressions,
    expression_text,
)
from valueverse.value.architect.language.units import TIME

__all__ = [
    "TIME",
    "Expression",
    "Literal",
    "Lookup",
    "Operation",
    "Period",
    "Previous",
    "Reference",
    "RunningTotal",
    "child_expressions",
    "expression_text",
]
