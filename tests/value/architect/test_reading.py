"""Documents: what may be written, and where the problems of what may not stand."""

from __future__ import annotations

import json

import pytest

from tests.support.value_models import EXAMPLE, model_text, only, problems_of, refused
from valueverse.documents import DocumentError
from valueverse.documents.reading import read_document
from valueverse.value.architect.document.canonical import content_hash
from valueverse.value.architect.document.parsing import MODEL, parse_model

HEAD = "schema: valueverse.value_model/v1\nmodel: tried\n"


def test_the_example_of_the_reference_is_a_model():
    assert problems_of(EXAMPLE) == []


def test_json_and_yaml_say_the_same():
    model = parse_model(EXAMPLE)
    assert content_hash(parse_model(json.dumps(read_document(EXAMPLE, MODEL).tree))) == content_hash(model)


def test_json_that_yaml_does_not_take_is_read_as_json():
    text = '{\n\t"schema": "valueverse.value_model/v1",\n'
    text += '\t"model": "tried", "title": "\\ud83d\\ude00",\n\t"inputs": {"a": 1}}'
    assert parse_model(text).title == "\U0001f600"


def test_every_problem_is_found_at_once_with_line_and_column():
    text = HEAD + "axis: {grain: mnth, periods: 0}\ninputs:\n  a: {vlue: 3}\n  b: {dist: {normal: [1, 0]}}\n"
    found = [(one.code, one.path, one.line, one.column) for one in problems_of(text)]
    assert found == [
        ("bad_value", "axis.grain", 3, 8),
        ("bad_value", "axis.periods", 3, 21),
        ("unknown_field", "inputs.a.vlue", 5, 7),
        ("bad_distribution", "inputs.b.dist.normal", 6, 14),
    ]


def test_an_unknown_field_names_the_one_that_was_meant():
    problem = only(problems_of(HEAD + "inputs: {a: {value: 1, ownr: me}}"))
    assert problem.message == "unknown field 'ownr': did you mean 'owner'?"


def test_short_forms_are_written_out():
    model = parse_model(HEAD + "axis: {discount: 0.1}\ninputs: {a: 0.5, b: [1]}\nvariables: {c: a * 2, d: 7}\n")
    assert model.inputs["a"].value == 0.5
    assert model.inputs["b"].value == [1.0]
    assert model.variables["c"].expr == "a * 2"
    assert model.variables["d"].expr == "7"
    assert model.axis.discount.rate == 0.1


def test_the_place_inside_a_short_form_is_the_character():
    problem = only(problems_of(HEAD + "inputs: {a: 1}\nvariables:\n  c: a * (2\n"))
    assert (problem.line, problem.column) == (5, 12)


def test_an_input_has_one_source():
    assert only(refused(inputs={"a": {"unit": "1"}})).message.endswith("here stands none of them")
    both = only(refused(inputs={"a": {"value": 1, "bind": "usage.x"}}))
    assert "value and bind" in both.message


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "one mapping"),
        ("[1, 2]", "one mapping"),
        ("a: b: c", "not readable as YAML"),
        ("{", "not readable as YAML"),
        ("a: &x 1\nb: *x", "anchors and aliases"),
        ("a: !!python/object:os.system x", "tag"),
        ("a: 1\n---\nb: 2", "one model per file"),
        ("a: 1\na: 2", "stands twice"),
        ("a: 1e999", "out of range"),
        ("a: " + "[" * 100, "nested deeper"),
        ("? [1, 2]\n: 3", "a key must be plain text"),
        ("a: \x00", "cannot be stored"),
    ],
)
def test_what_is_no_document_is_refused_with_its_place(text: str, word: str):
    problem = only([one for one in problems_of(text) if one.code == "bad_document"])
    assert word in problem.message
    assert problem.line >= 1
    assert problem.column >= 1


def test_a_document_has_a_largest_size():
    assert "too long" in only(problems_of("#" * 1_100_000)).message


def test_bytes_that_are_no_text_are_refused():
    with pytest.raises(DocumentError, match="UTF-8"):
        parse_model(b"\xff\xfe")


def test_another_schema_is_refused_by_name():
    assert only(problems_of("schema: vm/1\nmodel: x")).code == "unknown_schema"
    assert only(problems_of("model: x")).code == "missing_field"


@pytest.mark.parametrize("name", ["9lives", "a b", "a.b", "a-b", "x" * 64, "é", ""])
def test_a_name_is_an_identifier(name: str):
    assert "bad_name" in {one.code for one in refused(inputs={name: 1})}


@pytest.mark.parametrize("name", ["t", "pi", "min", "prev", "true", "and"])
def test_a_name_of_the_language_is_refused(name: str):
    assert "bad_name" in {one.code for one in refused(variables={name: "1"})}


@pytest.mark.parametrize("value", [True, None, {}, "abc", "1/0", "10^400", 1e16, "nan", ".inf", "t"])
def test_what_is_no_number_is_refused(value: object):
    assert refused(inputs={"a": {"value": value}})


def test_a_number_may_be_a_text_or_a_constant_expression():
    found = parse_model(model_text(inputs={"a": "0.50", "b": {"dist": {"uniform": ["-pi", "2 * pi"]}}}))
    assert found.inputs["a"].value == 0.5
    assert found.inputs["b"].dist == {"uniform": [-3.141592653589793, 6.283185307179586]}


def test_periods_have_a_limit():
    assert only(refused(axis={"periods": 1_000_000})).path == "axis.periods"


def test_a_missing_policy_is_one_of_four():
    stored = {"a": "error", "b": "zero", "c": {"carry_forward": "2 months"}, "d": {"default": 3}}
    inputs = {name: {"bind": "usage.x", "missing": policy} for name, policy in stored.items()}
    assert refused(inputs=inputs) == []
    for policy in ["never", {"default": "x"}, {"carry_forward": "soon"}, {"default": 1, "zero": 2}, 3]:
        assert only(refused(inputs={"a": {"bind": "usage.x", "missing": policy}})).code == "bad_value"
