from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.effort import at_most
from valueverse.catalog.document import CATALOG
from valueverse.documents import DocumentError, Problem, Problems
from valueverse.documents.json_reader import read_json
from valueverse.documents.reading import read_document


def read_tree(document: object) -> dict[str, Any]:
    source = read_document(document, CATALOG)
    source.problems.refuse()
    return dict(source.tree)


def refused(document: object) -> Problem:
    """The first problem."""
    with pytest.raises(DocumentError) as caught:
        read_tree(document)
    assert caught.value.code == "bad_catalog"
    return caught.value.problems[0]


def test_yaml_numbers_are_read_from_their_text() -> None:
    tree = read_tree("a: 0.0030\nb: [1, -2.5, 1e3]\nc: '0.1'\n")
    assert tree == {"a": Decimal("0.0030"), "b": [Decimal(1), Decimal("-2.5"), Decimal(1000)], "c": "0.1"}
    assert str(tree["a"]) == "0.0030"


def test_only_json_constants_are_constants() -> None:
    tree = read_tree("a: NO\nb: yes\nc: true\nd: ~\ne: 2026-01-01\nf: 1_000\ng: 0x1F\nh: 'null'\ni: 12:30\n")
    assert tree == {
        "a": "NO",
        "b": "yes",
        "c": True,
        "d": None,
        "e": "2026-01-01",
        "f": "1_000",
        "g": "0x1F",
        "h": "null",
        "i": "12:30",
    }


def test_json_and_yaml_say_the_same() -> None:
    assert read_tree('{"a": [1.50, {"b": null}]}') == read_tree("a:\n  - 1.50\n  - b: null\n")


@pytest.mark.parametrize(
    ("document", "message_part", "path", "place"),
    [
        ("a: &x [1]\nb: *x", "anchors and aliases", "a", (1, 4)),
        ("a: 1\na: 2", "'a' stands twice", "", (2, 1)),
        ('{"a": 1, "a": 2}', "stands twice", "", (1, 11)),
        ('{"a": 1,\n\t"b": {"c": 1, "c": 2}}', "'c' stands twice", "b", (2, 17)),
        ("a:\n  - b: 1\n    b: 2", "'b' stands twice", "a[0]", (3, 5)),
        ("a: 1234567890.1234567", "15 significant digits", "a", (1, 4)),
        ("a: 1e999999999", "out of range", "a", (1, 4)),
        ('{"a": {"b": [1,\n 1234567890.1234567]}}', "15 significant digits", "a.b[1]", (2, 2)),
        ('{"a": 1, "a": 2', "not readable as YAML", "", (2, 1)),
        ('{"a": NaN}', "NaN is not a JSON number", "a", (1, 7)),
        ("- 1", "one mapping", "", (1, 1)),
        ("a: !!python/object/apply:os.system [x]", "tag", "a", (1, 4)),
        ("? [a]\n: 1", "key must be plain text", "", (1, 3)),
        ("a: b: c", "not readable as YAML", "", (1, 5)),
        ("---\na: 1\n---\nb: 1", "second document", "", (3, 1)),
        ({"a": 0.5}, "binary float", "a", (0, 0)),
        ({"a": {"b": [1, {"c": 0.5}]}}, "binary float", "a.b[1].c", (0, 0)),
        ({"a": 10**30}, "15 significant digits", "a", (0, 0)),
        ({"a": {1: 2}}, "is not text", "a", (0, 0)),
        ({"a": object()}, "cannot stand", "a", (0, 0)),
        ('{"b": 1, "a": "\\ud800"}', "cannot be stored", "a", (1, 11)),
        ('a: "\\0"', "cannot be stored", "a", (1, 1)),
        ("a: 1\nb: \x00", "cannot be stored", "", (2, 4)),
        (b"\xff\xfe\xfa", "UTF-8", "", (1, 1)),
        ("", "one mapping", "", (1, 1)),
    ],
)
def test_what_cannot_be_read_is_refused_at_its_place(
    document: object, message_part: str, path: str, place: tuple[int, int]
) -> None:
    problem = refused(document)
    assert message_part in problem.message
    assert (problem.path, problem.line, problem.column) == (path, *place)


def test_every_number_and_key_that_cannot_be_taken_is_listed_at_once() -> None:
    with pytest.raises(DocumentError) as caught:
        read_tree('a: 12345678901234567\nb: 1\nb: 2\nc: [1e99]\nd: "\\0"\n')
    assert [(one.path, one.line) for one in caught.value.problems] == [("a", 1), ("", 3), ("c[0]", 4), ("d", 5)]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)


@given(_JSON, st.sampled_from([None, 0, "\t"]))
def test_reading_json_token_by_token_gives_what_the_standard_decoder_gives(tree: object, indent: Any) -> None:
    text = json.dumps({"document": tree}, indent=indent)
    form = replace(CATALOG, number=int)
    assert read_json(text, form, Problems()).root == json.loads(text)


@pytest.mark.security
@pytest.mark.parametrize(
    "document",
    [
        "[" * 1_000_000,
        "{a: " * 10_000 + "1" + "}" * 10_000,
        '{"a":' * 100_000,
        "x" * (CATALOG.characters + 1),
        "a: &a [x]\n" + "".join(f"b{n}: &b{n} [*a, *a]\n" for n in range(100)),
        "a: [" + "1," * 20_000 + "1]",
        "a: " + "9" * 1_000_000,
    ],
)
def test_a_hostile_document_is_refused_at_once(document: str) -> None:
    with at_most(200):
        refused(document)
