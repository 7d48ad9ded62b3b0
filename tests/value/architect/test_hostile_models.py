"""Whatever is written, the answer is a program or a list of problems, soon."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.effort import at_most
from tests.support.laws import law
from tests.support.value_models import EXAMPLE, model_text, problems_of, refused
from valueverse.documents.reading import read_document
from valueverse.value.architect.document.parsing import MODEL

TREE = read_document(EXAMPLE, MODEL).tree
SECTIONS = sorted(TREE)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**18), 10**18),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        ["t", "prev(users, init=1)", "USD/month", "adoption", "1 USD", "npv > 0", "2 months", "9^9^9^9", "usage.x"]
    ),
)
TOKENS = st.sampled_from(
    ["unit", "value", "dist", "bind", "normal", "pert", "clip", "discrete", "values", "expr", "at", "risk", "metric",
     "window", "missing", "adoption", "users", "npv", "percentiles", "sobol", "probability", "between",
     "rho", "base", "rate"]
)  # fmt: skip
TREES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TOKENS | st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


@given(st.sampled_from(SECTIONS), TREES)
@law(100)
def test_any_section_may_hold_anything(section: str, tree: Any):
    problems_of(json.dumps(TREE | {section: tree}))


@given(st.sampled_from(["inputs", "variables", "drivers", "costs", "scenarios", "pricing", "axis"]), TOKENS, TREES)
@law(100)
def test_any_entry_may_hold_anything(section: str, name: str, tree: Any):
    problems_of(json.dumps(TREE | {section: TREE[section] | {name: tree}}))


@given(st.integers(0, len(EXAMPLE) - 1), st.integers(0, 30), st.text(max_size=8))
@law(100)
def test_any_piece_of_the_text_may_be_garbled(place: int, length: int, piece: str):
    for problem in problems_of(EXAMPLE[:place] + piece + EXAMPLE[place + length :]):
        assert problem.line >= 1
        assert problem.column >= 1
        assert problem.message


@given(st.text(alphabet="abt01.+-*/^()<>=!,' \"`$[]{}\\éUSD", max_size=40))
@law(100)
def test_any_text_may_stand_as_an_expression(expression: str):
    refused(inputs={"a": {"unit": "USD", "value": 1}, "b": 2}, variables={"v": {"expr": expression or "0"}})


@pytest.mark.parametrize(
    "sections",
    [
        {"variables": {"v": "(" * 4000}},
        {"variables": {"v": "-" * 4000 + "1"}},
        {"variables": {"v": "not " * 1000 + "1"}},
        {"variables": {"v": "abs(" * 1000}},
        {"variables": {"v": "1" + "^2" * 2000}},
        {"variables": {"v": "1 USD/" + "(" * 3000 + "month"}},
        {"variables": {f"v{index}": f"v{index - 1} * v{index - 1}" if index else "1 user" for index in range(300)}},
        {"inputs": {"a": {"unit": "(" * 150, "value": 1}}},
        {"inputs": {"a": {"unit": "user^9999*" * 19 + "user", "value": 1}}},
        {"inputs": {"a": {"value": "9^9^9^9"}}},
        {"inputs": {"a": {"dist": {"discrete": [[index, 0.0001] for index in range(10_001)]}}}},
        {"inputs": {"a": {"dist": {"lognormal": [1e15, 1e15]}}}},
        {"inputs": {f"x{index}": 1 for index in range(6_000)}},
        {"axis": {"periods": 10**30}},
        {"outputs": [{"percentiles": list(range(101)) * 2}]},
        {"scenarios": {f"s{index}": {} for index in range(101)}},
    ],
)
def test_a_model_that_is_too_much_is_refused_soon(sections: dict[str, Any]):
    with at_most(300):
        assert refused(**sections)


def test_a_document_of_aliases_is_not_expanded():
    bomb = "a: &a [x, x]\n" + "".join(
        f"{chr(98 + index)}: &{chr(98 + index)} [*{chr(97 + index)}, *{chr(97 + index)}]\n" for index in range(20)
    )
    assert problems_of(bomb)[0].code == "bad_document"


def test_the_list_of_problems_has_an_end():
    assert len(refused(inputs={f"x{index}": {"unit": "nope", "value": 1} for index in range(1_000)})) <= 200
    assert model_text()
