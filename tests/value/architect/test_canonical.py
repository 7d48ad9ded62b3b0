"""One text and one hash per model, and what differs between two."""

from __future__ import annotations

import json

import pytest

from tests.support.value_models import EXAMPLE, compiled, model_text
from valueverse.documents import DocumentError
from valueverse.value import library
from valueverse.value.architect.compiler.program import compile_model
from valueverse.value.architect.document.canonical import canonical_text, canonical_tree, content_hash, model_changes
from valueverse.value.architect.document.parsing import model_from, parse_model

GOLDEN = "db7c7b7464d17bbfce95d46c3ad656ace81493f37570b3ae185df004f63c2123"


def test_the_hash_of_the_example_never_changes():
    assert content_hash(parse_model(EXAMPLE)) == GOLDEN
    assert compile_model(parse_model(EXAMPLE)).content_hash == GOLDEN


def test_the_canonical_form_is_the_same_model():
    for text in [EXAMPLE, *map(library.text, library.names())]:
        model = parse_model(text)
        again = model_from(json.loads(canonical_text(model)))
        assert canonical_tree(again) == canonical_tree(model)
        assert content_hash(parse_model(canonical_text(model))) == content_hash(model)
        assert compile_model(again) == compile_model(model)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"inputs": {"a": 1}}, {"inputs": {"a": {"value": "1.0"}}}),
        ({"inputs": {"a": {"unit": 1, "value": 1}}}, {"inputs": {"a": {"value": 1, "unit": "1"}}}),
        ({"axis": {"discount": 0.1}}, {"axis": {"discount": {"rate": "0.10"}}}),
        ({"variables": {"v": 3}}, {"variables": {"v": {"expr": "3"}}}),
        ({"inputs": {"a": {"dist": {"uniform": [0, 1]}}}}, {"inputs": {"a": {"dist": {"uniform": [0.0, "1e0"]}}}}),
    ],
)
def test_spelling_does_not_count(one: dict[str, object], other: dict[str, object]):
    assert content_hash(parse_model(model_text(**one))) == content_hash(parse_model(model_text(**other)))


def test_every_difference_is_named_by_path():
    before = parse_model(EXAMPLE)
    after = parse_model(
        EXAMPLE.replace("[0.5, 0.9]", "[0.4, 0.9]")
        .replace(", attribution: 0.8", "")
        .replace("users:", "usrs:")
        .replace("prev(users", "prev(usrs")
    )
    found = {(one.path, one.kind) for one in model_changes(before, after)}
    assert found == {
        ("drivers.deflection.attribution", "removed"),
        ("inputs.adoption.dist.interval90", "changed"),
        ("variables.users", "removed"),
        ("variables.usrs", "added"),
    }
    assert model_changes(before, before) == []
    changed = next(one for one in model_changes(before, after) if one.kind == "changed")
    assert changed.as_json() == {
        "path": "inputs.adoption.dist.interval90",
        "kind": "changed",
        "before": [0.5, 0.9],
        "after": [0.4, 0.9],
    }


def test_a_tree_without_text_has_problems_without_lines():
    with pytest.raises(DocumentError) as error:
        model_from({"schema": "valueverse.value_model/v1", "model": "x", "inputs": {"a": {}}})
    assert (error.value.problems[0].line, error.value.problems[0].path) == (0, "inputs.a")


def test_compiling_twice_gives_equal_programs():
    assert compiled(variables={"v": "prev(v, init=0) + t"}) == compiled(variables={"v": "prev(v, init=0) + t"})
