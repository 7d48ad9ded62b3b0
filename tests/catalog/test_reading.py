from __future__ import annotations

from decimal import Decimal

import pytest

from tests.support.effort import at_most
from valueverse.catalog.reading import MAX_CHARACTERS, read_tree
from valueverse.errors import RefusalError


def refused(document: object) -> RefusalError:
    with pytest.raises(RefusalError) as caught:
        read_tree(document)  # type: ignore[arg-type]
    assert caught.value.code == "bad_catalog"
    return caught.value


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
    ("document", "says", "path"),
    [
        ("a: &x [1]\nb: *x", "anchors and aliases", "a"),
        ("a: 1\na: 2", "'a' stands twice (line 2)", ""),
        ('{"a": 1, "a": 2}', "stands twice", ""),
        ("a:\n  - b: 1\n    b: 2", "'b' stands twice (line 3)", "a[0]"),
        ("a: 1234567890.1234567", "15 significant digits", "a"),
        ("a: 1e999999999", "out of range", "a"),
        ('{"a": {"b": [1, 1234567890.1234567]}}', "15 significant digits", "a.b[1]"),
        ("- 1", "one mapping", ""),
        ("a: !!python/object/apply:os.system [x]", "tag", "a"),
        ("? [a]\n: 1", "key must be plain text", ""),
        ("a: b: c", "not readable as YAML", ""),
        ("---\na: 1\n---\nb: 1", "second document", ""),
        ({"a": 0.5}, "binary float", "a"),
        ({"a": {"b": [1, {"c": 0.5}]}}, "binary float", "a.b[1].c"),
        ({"a": 10**30}, "15 significant digits", "a"),
        ({"a": {1: 2}}, "is not text", "a"),
        ({"a": object()}, "cannot stand", "a"),
        ('{"a": "\\ud800"}', "cannot be stored", "a"),
        ('a: "\\0"', "cannot be stored", "a"),
        (b"\xff\xfe\xfa", "UTF-8", ""),
        ("", "one mapping", ""),
    ],
)
def test_what_cannot_be_read_is_refused_at_its_place(document: object, says: str, path: str) -> None:
    refusal = refused(document)
    assert says in refusal.message
    assert refusal.path == path


@pytest.mark.security
@pytest.mark.parametrize(
    "document",
    [
        "[" * 1_000_000,
        "{a: " * 10_000 + "1" + "}" * 10_000,
        '{"a":' * 100_000,
        "x" * (MAX_CHARACTERS + 1),
        "a: &a [x]\n" + "".join(f"b{n}: &b{n} [*a, *a]\n" for n in range(100)),
        "a: [" + "1," * 20_000 + "1]",
        "a: " + "9" * 1_000_000,
    ],
)
def test_a_hostile_document_is_refused_at_once(document: str) -> None:
    with at_most(200):
        refused(document)
