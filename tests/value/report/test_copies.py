"""A customer's copy: nothing of what is internal is in it, all else is, and a proposal states what is signed."""

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
from tests.support.pages import read_page, tables, texts
from tests.value.report.test_commit_page import MEASURED, MODEL, plain, proposal, report_of
from valueverse.errors import RefusalError
from valueverse.value.architect.compiler.program import compile_model
from valueverse.value.architect.document.canonical import canonical_tree
from valueverse.value.architect.document.parsing import parse_model
from valueverse.value.executor import RunRequest
from valueverse.value.report import formatting
from valueverse.value.report.audience import NOTE, NOTHING, TOTALS_NOTE, Audience, withheld
from valueverse.value.report.commit_page import CommitReport, build_commit_page
from valueverse.value.report.page import render_page
from valueverse.value.report.run_page import build_run_page

SECRET = {"unit": "USD/month", "bind": {"metric": "billing.cost_to_serve"}, "missing": "zero", "evidence": ["ledger"]}
SERVED: dict[str, Any] = MODEL | {
    "inputs": MODEL["inputs"] | {"served": SECRET | {"owner": "finance of the vendor"}},
    "evidence": {"ledger": "Cloud invoices of the vendor"},
}


HOSTED: dict[str, Any] = SERVED | {"costs": MODEL["costs"] | {"hosting": "served"}, "outputs": ["npv", "served"]}
SAVING_IS_OURS = {"variables": {"ours": "served * 2"}, "drivers": {"saving": "tokens * worth - ours"}}
SECRETS = r"served|hosting|ours|(?<![\d.])(?:7,?411|8,?123|8,?124)|Cloud invoices|finance of the vendor"
"""Digits after others or a point are a place in a drawing."""


def served(more: dict[str, Any]) -> tuple[CommitReport, CommitReport]:
    """A measured commit whose model has an internal metric: the vendor's copy and the customer's."""
    model = SERVED | more | {"scenarios": {"agreed": {"tokens": 80, "licence": 100, "served": 7411.25}, "base": {}}}
    vendors = report_of([*MEASURED, ("billing.cost_to_serve", 8123.5, "2023-11")], model=model)
    assert withheld(vendors.commitment.program, Audience.VENDOR) == NOTHING
    return vendors, replace(vendors, hidden=withheld(vendors.commitment.program, Audience.CUSTOMER))


def test_an_internal_cost_is_nowhere_in_a_customers_copy() -> None:
    """Neither as text, nor in a chart, an attribute or a comment: the whole file is searched."""
    _, customers = served(HOSTED)
    for report in (customers, proposal(customers)):
        assert re.findall(SECRETS, render_page(build_commit_page(report))) == []


@pytest.mark.usefixtures("undrawn")
def test_all_that_an_internal_cost_does_not_enter_is_as_in_the_model_without_it() -> None:
    vendors, customers = served(HOSTED)
    for state in (lambda report: report, proposal):
        own, copy, without = (render_page(build_commit_page(state(one))) for one in (vendors, customers, report_of()))
        assert re.search(SECRETS, own)
        shown, expected = tables(read_page(copy)), tables(read_page(without))
        assert {name: shown[name] for name in expected} == expected
        assert f"{NOTE} {TOTALS_NOTE}" in texts(read_page(copy))


@pytest.mark.usefixtures("undrawn")
def test_a_benefit_computed_from_an_internal_number_is_left_out_and_the_costs_are_shown() -> None:
    vendors, customers = served(SAVING_IS_OURS)
    page = render_page(build_commit_page(customers))
    assert re.search(SECRETS, render_page(build_commit_page(vendors)))
    assert re.findall(SECRETS + "|saving", page) == []
    sums = {row[0]: row[1:3] for row in tables(read_page(page))["Sums so far"]}
    assert sums["licence"] == ["200.00 USD", "120.00 USD"]


@pytest.mark.usefixtures("undrawn")
def test_a_proposal_that_cannot_state_its_benefits_is_refused_with_the_cure() -> None:
    vendors, customers = served(SAVING_IS_OURS)
    with pytest.raises(RefusalError, match=r"every benefit \(saving\).*from served, .*--internal") as found:
        build_commit_page(proposal(customers))
    assert found.value.code == "internal_numbers"
    assert build_commit_page(proposal(vendors)).signatures
    fee = {"pricing": {"output": "net_benefit", "share": 0.25}}
    _, customers = served(HOSTED | fee)
    with pytest.raises(RefusalError, match=r"what the fee is a share of \(net benefit\).*from served"):
        build_commit_page(proposal(customers))


@pytest.mark.usefixtures("undrawn")
def test_a_proposal_states_the_fee_that_is_signed() -> None:
    fee = {"output": "saving", "share": 0.25, "cap": "60000 USD/year", "period": "quarter", "refund": True}
    page = read_page(render_page(build_commit_page(proposal(report_of(model=MODEL | {"pricing": fee})))))
    text = plain(texts(page))
    for part in ("25 % of the value realised: saving", "60,000.00 USD a year", "every quarter", "for 30 days"):
        assert part in text


@pytest.mark.usefixtures("undrawn")
def test_an_agreed_value_that_only_the_vendor_lacks_takes_no_number_from_a_proposal() -> None:
    """Nothing was agreed of the cost to serve: what the customer is asked to sign does not need it."""
    model = HOSTED | {"scenarios": {"agreed": {"tokens": 80, "licence": 100}, "base": {}}}
    found = report_of([*MEASURED, ("billing.cost_to_serve", 8123.5, "2023-11")], model=model)
    customers = replace(found, hidden=withheld(found.commitment.program, Audience.CUSTOMER))
    assert set(found.cases) == {"realised"}
    assert "It has no agreed numbers: nothing was agreed of served." in "".join(build_commit_page(proposal(found)).lead)
    assert "Net value over" in render_page(build_commit_page(proposal(customers)))
    assert tables(read_page(render_page(build_commit_page(customers))))["Sums so far"][0][1:3] == [
        "Committed",
        "Realised",
    ]


@pytest.mark.usefixtures("undrawn")
def test_what_an_internal_value_reaches_is_not_named_among_the_missing_ones() -> None:
    """A variable of a carried value and an internal one: its name is the vendor's, too."""
    more = {"variables": {"ours": "tokens * worth + served"}, "costs": MODEL["costs"] | {"hosting": "ours"}}
    vendors, customers = served(more)
    rows = {
        name: tables(read_page(render_page(build_commit_page(one))))["Values that were missing"]
        for name, one in (("vendor", vendors), ("customer", customers))
    }
    assert [rows[name][2 if name == "customer" else 3][3] for name in rows] == ["ours, saving and hosting", "saving"]


@pytest.mark.usefixtures("undrawn")
def test_a_fee_on_a_value_that_is_withheld_is_shown_without_it() -> None:
    whole = report_of()
    unnamed = replace(whole.proposals[0], realised=None)
    page = render_page(build_commit_page(replace(whole, proposals=[unnamed])))
    assert tables(read_page(page))["Fees proposed for what was realised"][1][1:3] == [formatting.NONE, "202.58 USD"]


@pytest.mark.usefixtures("undrawn")
def test_an_input_that_says_it_is_internal_is_hidden_like_a_measured_one() -> None:
    """A vendor that types in what serving costs marks it: nothing of it is in the file, nor a total that has it."""
    served = {"unit": "USD/month", "value": 7411.25, "owner": "finance of the vendor", "internal": True}
    costs = MODEL["costs"] | {"hosting": "served"}
    model = MODEL | {"inputs": MODEL["inputs"] | {"served": served}, "costs": costs}
    found = report_of(model=model)
    hidden = withheld(found.commitment.program, Audience.CUSTOMER, document=found.frozen["model"])
    for report in (found, proposal(found)):
        assert re.search(SECRETS, render_page(build_commit_page(report)))
        assert re.findall(SECRETS, render_page(build_commit_page(replace(report, hidden=hidden)))) == []
    assert withheld(found.commitment.program, Audience.VENDOR, document=found.frozen["model"]) == NOTHING


def test_a_registered_metric_on_a_column_of_costs_is_internal_whatever_its_name() -> None:
    model = SERVED | {"inputs": MODEL["inputs"] | {"served": SECRET | {"bind": {"metric": "harmless"}}}}
    program = compile_model(parse_model(json.dumps(model)))
    assert withheld(program, Audience.CUSTOMER) == NOTHING
    assert withheld(program, Audience.CUSTOMER, {"harmless"}).inputs == {"served"}


SHOWN = ("open_a", "open_b")
INTERNAL = ("ours_a", "ours_b")
VALUES = {"open_a": 311.0, "open_b": 47.0}
NUMBERS = ({"ours_a": 7_654_321.0, "ours_b": 3_210_987.0}, {"ours_a": 5_550_123.0, "ours_b": 9_876_543.0})
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


def customers_copies(model: dict[str, Any]) -> list[str]:
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
    first, second = (customers_copies(model_of(secret, half, drivers, costs)) for secret in NUMBERS)
    assert first == second
    for page in first:
        assert "ours" not in page
        found = {*numbers(page), 0.0}
        apart = {abs(one - other) for one, other in combinations(found, 2)}
        assert max(apart) < min(NUMBERS[0].values()) / 2


@pytest.mark.usefixtures("undrawn")
def test_what_no_internal_number_enters_is_shown() -> None:
    model = model_of(NUMBERS[0], "open_a", ["open_a", "ours_a"], ["open_b + half", "ours_b", "half + ours_a"])
    measured, alone, proposed = customers_copies(model)
    for page in (measured, alone, proposed):
        for name in ("gain 0", "spent 0", "open a", "open b", "half"):
            assert name in page.replace("_", " ")
        for name in ("gain 1", "spent 1", "spent 2"):
            assert name not in page
