"""The formula language of meters, prices and value models, compiled to Polars expressions."""

from valueverse.formula.compiling import (
    compile_amount,
    compile_condition,
    compile_member,
    compile_value,
    parse_condition,
    parse_member,
    parse_value,
    paths_in,
)
from valueverse.formula.nodes import (
    Binary,
    Call,
    Constant,
    FormulaError,
    Name,
    Node,
    Number,
    Quantity,
    Unary,
    names_in,
    refusal,
)
from valueverse.formula.numbers import QUANTITY_LIMIT, number_from_text
from valueverse.formula.parser import parse
from valueverse.formula.paths import at_path, extract, parse_path

__all__ = [
    "QUANTITY_LIMIT",
    "Binary",
    "Call",
    "Constant",
    "FormulaError",
    "Name",
    "Node",
    "Number",
    "Quantity",
    "Unary",
    "at_path",
    "compile_amount",
    "compile_condition",
    "compile_member",
    "compile_value",
    "extract",
    "names_in",
    "number_from_text",
    "parse",
    "parse_condition",
    "parse_member",
    "parse_path",
    "parse_value",
    "paths_in",
    "refusal",
]
