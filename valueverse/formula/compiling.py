"""The three uses of formulas beside value models: a meter's value, a meter's filter, a charge's amount."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import polars as pl

from valueverse.errors import did_you_mean
from valueverse.formula.exact import ExactCompiler, Kind, Part, kind_of, literal
from valueverse.formula.nodes import Name, names_in, refusal
from valueverse.formula.numbers import QUANTITY_LIMIT, number_from_text
from valueverse.formula.parser import parse
from valueverse.formula.paths import at_path
from valueverse.money import plain_text

_VARIABLE_BOUND = 1e19
_READING_COST = 20


def _from_data(name: Name, kind: Kind) -> Part:
    text = at_path(name.parts)
    if kind == "number":
        return Part(number_from_text(text), float(QUANTITY_LIMIT), _READING_COST)
    if kind == "boolean":
        true, false = pl.lit(value=True), pl.lit(value=False)
        return Part(pl.when(text == "true").then(true).when(text == "false").then(false), cost=4)
    return Part(text)


def paths_in(text: str) -> list[tuple[str, ...]]:
    """Every path into ``data`` that a formula reads."""
    return [name.parts for name in names_in(parse(text))]


def parse_value(text: str) -> None:
    """Refuse a meter's ``value`` that is neither a path into data nor an exact numeric formula over it.

    Raises:
        RefusalError: ``bad_formula``.
    """
    compile_value(text)


def parse_member(text: str) -> None:
    """Refuse a ``value`` of unique_count that is neither a path into data nor a formula over it.

    Raises:
        RefusalError: ``bad_formula``.
    """
    compile_member(text)


def parse_condition(text: str) -> None:
    """Refuse a ``where`` that does not answer true or false.

    Raises:
        RefusalError: ``bad_formula``.
    """
    compile_condition(text)


def compile_value(text: str) -> pl.Expr:
    """A meter's value per event as EXACT, over the columns of ``extract``; null: missing, or no number.

    Args:
        text: a path (``usage.tokens``) or a formula (``input + 2 * output``); what is no identifier stands in
            backticks (``usage.`out-tokens` ``).

    Raises:
        RefusalError: ``bad_formula``.
    """
    root = parse(text)
    part = ExactCompiler(text, _from_data).compile(root, "number")
    number = part.expression
    return number if isinstance(root, Name) else pl.when(number.abs() < literal(QUANTITY_LIMIT)).then(number)


def compile_member(text: str) -> pl.Expr:
    """The value that unique_count counts, as text, over the columns of ``extract``; null: missing.

    Args:
        text: a path (``user.id``), or a formula that gives a number (its digits then) or a text.

    Raises:
        RefusalError: ``bad_formula``; also for one that gives true or false.
    """
    root = parse(text)
    if kind_of(root) == "number":
        return plain_text(compile_value(text))
    return ExactCompiler(text, _from_data).compile(root, "text").expression


def compile_condition(text: str) -> pl.Expr:
    """A meter's filter per event, over the columns of ``extract``; undecided (an ordered null) is false.

    Raises:
        RefusalError: ``bad_formula``.
    """
    root = parse(text)
    condition = ExactCompiler(text, _from_data).compile(root, "boolean")
    return condition.expression.fill_null(value=False)


def compile_amount(text: str, names: Mapping[str, pl.Expr] | Collection[str]) -> pl.Expr:
    """A charge's amount as EXACT from EXACT variables; null where it divides by 0 or passes 10^19.

    Args:
        text: e.g. ``max(quantity - 5, 0) * 0.3``.
        names: the variables it may use, each with its expression (or column names).

    Raises:
        RefusalError: ``bad_formula``; an unknown name is one, with the name that was probably meant.
    """
    known = dict(names) if isinstance(names, Mapping) else {name: pl.col(name) for name in names}
    root = parse(text)
    for name in names_in(root):
        if name.dotted not in known:
            hint = did_you_mean(name.dotted, known)
            raise refusal(f"unknown name {name.dotted!r}{hint.ending}", text, name.position)
    compiler = ExactCompiler(text, lambda name, _: Part(known[name.dotted], _VARIABLE_BOUND))
    return compiler.compile(root, "number").expression
