"""A customer's copy says nothing of what is internal: a law over models."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.support.laws import law
from tests.support.pages import read_page, texts
from tests.value.report.test_commit_page import MODEL, proposal, report_of
from valueverse.errors import RefusalError
from valueverse.value.architect.compiler.program import compile_model
from valueverse.value.architect.document.canonical import canonical_tree
from valueverse.value.architect.document.parsing import parse_model
from valueverse.value.executor import RunRequest
from valueverse.value.report import formatting
from valueverse.value.report.audience import Audience, withheld
from valueverse.value.report.commit_page import build_commit_page
from valueverse.value.report.page import render_page
from valueverse.value.report.run_page import build_run_page

SHOWN = ("open_a", "open_b")
INTERNAL = ("ours_a", "ours_b")
VALUES = {"open_a": 311.0, "open_b": 47.0}
SECRETS = ({"ours_a": 7_654_321.0, "ours_b": 3_210_987.0}, {"ours_a": 5_550_123.0, "ours_b": 9_876_543.0})
TERMS = (*SHOWN, *INTERNAL, "half", "worth * tokens")

sums = st.lists(st.sampled_from(TERMS), min_size=1, max_size=3, unique=True).map(" + ".join)
entries = st.lists(sums, min_size=1, max_size=3)


def model_of(secret: dict[str, float], half: str, drivers: list[str], costs: list[str]) -> dict[str, Any]:
    given_inputs: dict[str, Any] = {name: {"unit": "USD/month", "value": VALUES[name]} for name in SHOWN}
    given_inputs |= {name: {"unit": "USD/month", "value": secret[name], "internal": True} for name in INTERNAL}
    return MODEL | {
        "inputs": MODEL["inputs"] | given_inputs,
        "variables": {"half": f"({half}) * 0.5"},
        "drivers": {f"gain_{place}": {"expr": one, "risk": 0.1} for place, one in enumerate(drivers)},
        "costs": {f"spent_{place}": one for place, one in enumerate(costs)},
        "outputs": ["npv", "half", *INTERNAL, {"probability": "npv > 0"}],
    }


def copies(model: dict[str, Any]) -> list[str]:
    """The customer's page of the model, of the commit once measured, and of its proposal, where there is one."""
    parsed = parse_model(json.dumps(model))
    program, document = compile_model(parsed), canonical_tree(parsed)
    hidden = withheld(program, Audience.CUSTOMER, document=document)
    pages = [build_commit_page(replace(report_of(model=model), hidden=hidden))]
    asked = RunRequest(scenarios=("agreed",), draws=64)
    pages.append(build_run_page(program, document, None, asked, [], hidden))
    with suppress(RefusalError):
        pages.append(build_commit_page(replace(proposal(report_of(model=model)), hidden=hidden)))
    return [re.sub(r"\b[0-9a-f]{64}\b", "hash", render_page(page)) for page in pages]


def numbers(page: str) -> list[float]:
    text = texts(read_page(page)).replace(formatting.MINUS, "-")
    return [float(one.replace(",", "")) for one in re.findall(r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?(?![\w])", text)]


@pytest.mark.usefixtures("undrawn")
@settings(law(30), suppress_health_check=[HealthCheck.function_scoped_fixture], phases=[Phase.generate])
@given(half=sums.filter(lambda one: "half" not in one and "worth" not in one), drivers=entries, costs=entries)
def test_a_copy_is_the_same_whatever_the_internal_numbers_are(half: str, drivers: list[str], costs: list[str]) -> None:
    """So that no number on it, and no difference of two, is one of them or is computed from them."""
    first, second = (copies(model_of(secret, half, drivers, costs)) for secret in SECRETS)
    assert first == second
    for page in first:
        assert "ours" not in page
        found = {*numbers(page), 0.0}
        apart = {abs(one - other) for one, other in combinations(found, 2)}
        assert max(apart) < min(SECRETS[0].values()) / 2


@pytest.mark.usefixtures("undrawn")
def test_what_no_internal_number_enters_is_shown() -> None:
    model = model_of(SECRETS[0], "open_a", ["open_a", "ours_a"], ["open_b + half", "ours_b", "half + ours_a"])
    measured, alone, proposed = copies(model)
    for page in (measured, alone, proposed):
        for name in ("gain 0", "spent 0", "open a", "open b", "half"):
            assert name in page.replace("_", " ")
        for name in ("gain 1", "spent 1", "spent 2"):
            assert name not in page
