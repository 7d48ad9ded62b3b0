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
from valueverse.formula.numbers import number_from_text
from valueverse.formula.parser import parse
from valueverse.formula.paths import at_path, extract, parse_path

__all__ = [
    "at_path",
    "compile_amount",
    "compile_condition",
    "compile_member",
    "compile_value",
    "extract",
    "number_from_text",
    "parse",
    "parse_condition",
    "parse_member",
    "parse_path",
    "parse_value",
    "paths_in",
]
