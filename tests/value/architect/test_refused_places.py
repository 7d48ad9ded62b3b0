"""What used to end in a traceback, or without a place, is a problem with line and column."""

from __future__ import annotations

import pytest

from valueverse.documents import DocumentError
from valueverse.value.architect.compiler.program import compile_model
from valueverse.value.architect.document.parsing import parse_model

HEAD = "schema: valueverse.value_model/v1\nmodel: m\n"


def refused(text: str) -> tuple[str, str, int]:
    with pytest.raises(DocumentError) as error:
        compile_model(parse_model(text))
    first = error.value.problems[0]
    return first.code, first.path, first.line


@pytest.mark.parametrize("unit", ["1/second^64", "second^-64", "percent^64", "second^20*year^20", "year^64"])
def test_a_unit_whose_factor_is_beyond_numbers_is_refused_at_its_line(unit: str) -> None:
    text = f"{HEAD}inputs:\n  x: {{unit: '{unit}', value: 1}}\nvariables: {{a: x * x}}\n"
    assert refused(text)[0] == "bad_unit"


def test_units_that_multiply_beyond_numbers_are_refused_at_the_expression() -> None:
    text = f"{HEAD}inputs:\n  x: {{unit: second^15, value: 1}}\nvariables:\n  a: x * x\n"
    assert refused(text) == ("bad_unit", "variables.a.expr", 6)


def test_a_currency_that_is_none_is_refused_at_its_line_also_with_drivers() -> None:
    assert refused(f"{HEAD}currency: XXQ\ndrivers: {{d: 5}}\n") == ("unknown_currency", "currency", 3)


@pytest.mark.parametrize("escape", ["\\u0000", "\\ud800"])
def test_characters_that_cannot_be_stored_are_refused_behind_an_escape_too(escape: str) -> None:
    text = f'{{"schema": "valueverse.value_model/v1",\t"model": "m",\n"title": "{escape}", "variables": {{"a": 1}}}}'
    code, _, line = refused(text)
    assert (code, line) == ("bad_document", 2)
    assert refused(f'{HEAD}title: "{escape}"\nvariables: {{a: 1}}\n')[2] == 3


def test_true_is_no_number_of_periods() -> None:
    assert refused(f"{HEAD}axis: {{periods: true}}\nvariables: {{a: t}}\n") == ("bad_value", "axis.periods", 3)


@pytest.mark.parametrize("outputs", ["[{mean: a}, {variance: [a, x]}]", "[a, mean, variance]", "[mean]"])
def test_mean_and_variance_may_be_asked_for_by_themselves(outputs: str) -> None:
    text = f"{HEAD}inputs: {{x: {{dist: {{normal: [1, 1]}}}}}}\nvariables: {{a: x}}\noutputs: {outputs}\n"
    assert "a" in [target.name for target in compile_model(parse_model(text)).outputs.targets]


@pytest.mark.parametrize("name", ["percentiles", "tornado", "sobol"])
def test_an_output_cannot_be_called_what_a_run_reports_beside_it(name: str) -> None:
    text = f"{HEAD}inputs: {{x: {{dist: {{normal: [1, 1]}}}}}}\nvariables: {{{name}: x, a: x}}\n"
    assert refused(f"{text}outputs: [{name}, {{a: [tornado, sobol]}}]\n")[:2] == ("bad_name", "outputs")
    compile_model(parse_model(f"{text}outputs: [a]\n"))


@pytest.mark.parametrize(("periods", "bound"), [(10**9, "at most 3660"), (0, "at least 1")])
def test_the_message_of_a_bound_is_a_sentence(periods: int, bound: str) -> None:
    with pytest.raises(DocumentError, match=f"line 3, column 8: {bound} is expected here"):
        parse_model(f"{HEAD}axis: {{periods: {periods}}}\nvariables: {{a: t}}\n")
