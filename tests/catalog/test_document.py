from __future__ import annotations

import copy
import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.support.effort import at_most
from tests.support.laws import law
from valueverse.catalog.document import catalog_document, catalog_hash, parse_catalog
from valueverse.documents import DocumentError
from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from collections.abc import Callable

YAML = """
schema: valueverse.catalog/v1
currency: EUR
timezone: Europe/Berlin
rounding: {mode: half_up, level: line}
grace: 2 days
meters:
  - key: tokens
    event_type: llm.request
    aggregation: sum
    value: generated_tokens
    where: "region != 'internal'"
    dimensions: [model, region]
    rounding: {mode: up, places: 0}
  - key: seats
    event_type: seat
    aggregation: unique_count
    value: user
    operation: action
    carry_over: true
  - {key: peak, event_type: gauge, aggregation: max, value: gb}
plans:
  - key: pro
    version: 2
    period: {every: 1, unit: month, align: anniversary}
    trial: {days: 14}
    fees:
      - {key: platform, amount: 49.00, timing: in_advance, prorate: day}
      - {key: support, unit_amount: "9.00", quantity: 5, timing: in_advance, prorate: day, taxes: [vat_de]}
    charges:
      - key: large
        meter: tokens
        when: {model: gpt-large}
        split_by: [region]
        convert: {divide_by: "1000", round: up}
        included: "100"
        price:
          model: graduated
          tiers: [{up_to: "1000", unit: 0.0030, flat: "5"}, {up_to: null, unit: "0.01"}]
        discount_percent: "10"
      - {key: other, meter: tokens, price: {model: standard, unit: "0.0000000000015"}}
      - {key: people, meter: seats, prorate: day, round_prorated: 5, price: {model: standard, unit: "3"}}
    commitment: {minimum: "100.00"}
    threshold: "500.00"
coupons: [{key: launch, percent: "20", applies_to: {plans: [pro], charges: [large]}, periods: 3}]
taxes: [{key: vat_de, percent: "19", country: DE}]
"""


def document() -> dict[str, Any]:
    return copy.deepcopy(catalog_document(parse_catalog(YAML)))


def refused(change: Callable[[dict[str, Any]], object]) -> RefusalError:
    changed = document()
    change(changed)
    with pytest.raises(RefusalError) as caught:
        parse_catalog(changed)
    assert caught.value.code == "bad_catalog"
    return caught.value


def test_a_catalog_is_read_exactly() -> None:
    catalog = parse_catalog(YAML)
    plan = catalog.plans[0]
    assert plan.fees[0].amount == Decimal("49.00")
    assert plan.charges[0].price.tiers[0].unit == Decimal("0.0030")
    assert plan.charges[1].price.unit == Decimal("0.0000000000015")
    assert catalog.grace == timedelta(days=2)
    assert plan.charges[0].when == {"model": "gpt-large"}


def test_the_hash_is_of_what_the_catalog_says_not_of_how_it_is_written() -> None:
    catalog = parse_catalog(YAML)
    assert parse_catalog(catalog_document(catalog)) == catalog
    assert catalog_hash(parse_catalog(document())) == catalog_hash(catalog)
    other = parse_catalog(YAML.replace("0.0030", '"0.003"').replace("2 days", "48 hours"))
    assert catalog_hash(other) == catalog_hash(catalog)
    assert catalog_hash(parse_catalog(YAML.replace("0.0030", "0.0031"))) != catalog_hash(catalog)


@pytest.mark.parametrize(
    ("change", "message_part", "path"),
    [
        (lambda c: c.update(plnas=[]), "did you mean 'plans'", "plnas"),
        (lambda c: c["plans"][0].update(chargs=[]), "did you mean 'charges'", "plans[0].chargs"),
        (lambda c: c.pop("schema"), "required", "schema"),
        (lambda c: c.update(schema="valueverse.catalog/v2"), "valueverse.catalog/v1", "schema"),
        (lambda c: c.update(currency="EUX"), "ISO 4217", "currency"),
        (lambda c: c.update(timezone="Europe/Berln"), "IANA", "timezone"),
        (lambda c: c.update(grace="1 dy"), "write it like '1 day'", "grace"),
        (lambda c: c.update(plans={}), "a list is expected", "plans"),
        (lambda c: c["meters"].append(c["meters"][0]), "stands twice", "meters[3]"),
        (lambda c: c["plans"].append(c["plans"][0]), "stands twice", "plans[1]"),
        (lambda c: c["meters"][0].update(key="Bad Key"), "not a key", "meters[0].key"),
        (lambda c: c["meters"][1].update(value="a > b"), "a text is expected", "meters[1].value"),
        (lambda c: c["meters"][0].update(event_type="billing.x"), "reserved", "meters[0]"),
        (lambda c: c["meters"][0].update(aggregation="summ"), "'sum'", "meters[0].aggregation"),
        (lambda c: c["meters"][0].update(value="a +"), "character 4", "meters[0].value"),
        (lambda c: c["meters"][0].pop("value"), "needs 'value'", "meters[0]"),
        (lambda c: c["meters"][0].update(where="a = 1"), "write '=='", "meters[0].where"),
        (lambda c: c["meters"][2].update(carry_over=True), "carry over", "meters[2]"),
        (lambda c: c["meters"][0].update(dimensions=["a", "a"]), "twice", "meters[0]"),
        (lambda c: c["plans"][0]["fees"][0].update(amount="-1"), "at least 0", "plans[0].fees[0].amount"),
        (lambda c: c["plans"][0]["fees"][0].update(amount="x"), "not a number", "plans[0].fees[0].amount"),
        (lambda c: c["plans"][0]["fees"][0].update(amount=1.5), "binary float", "plans[0].fees[0].amount"),
        (lambda c: c["plans"][0]["fees"][0].update(unit_amount="1"), "either", "plans[0].fees[0]"),
        (
            lambda c: c["plans"][0]["fees"][0].update(taxes=["vat"]),
            "did you mean",
            "plans[0].fees[0].taxes[0]",
        ),
        (lambda c: c["plans"][0].update(version="1.5"), "whole number", "plans[0].version"),
        (
            lambda c: c["plans"][0]["charges"][1].update(meter="tokns"),
            "did you mean",
            "plans[0].charges[1].meter",
        ),
        (lambda c: c["plans"][0]["charges"][1].update(key="platform"), "fee", "plans[0].charges[1].key"),
        (
            lambda c: c["plans"][0]["charges"][0].update(when={"modl": "x"}),
            "model",
            "plans[0].charges[0].when",
        ),
        (
            lambda c: c["plans"][0]["charges"][0].update(split_by=["x"]),
            "region",
            "plans[0].charges[0].split_by",
        ),
        (
            lambda c: c["plans"][0]["charges"][2].pop("prorate"),
            "prorate: day",
            "plans[0].charges[2].round_prorated",
        ),
        (lambda c: c["plans"][0]["charges"][2].update(meter="peak"), "max", "plans[0].charges[2].prorate"),
        (lambda c: c["coupons"][0].update(amount="5"), "either", "coupons[0]"),
        (lambda c: c["coupons"][0].update(percent="101"), "at most 100", "coupons[0].percent"),
        (
            lambda c: c["coupons"][0]["applies_to"].update(plans=["por"]),
            "pro",
            "coupons[0].applies_to.plans[0]",
        ),
        (lambda c: c["taxes"][0].update(country="Germany"), "no country of ISO 3166-1", "taxes[0].country"),
    ],
)
def test_what_is_wrong_is_refused_at_its_place(change: Any, message_part: str, path: str) -> None:
    refusal = refused(change)
    assert message_part in refusal.message
    assert refusal.path == path


def charges(*whens: dict[str, str]) -> dict[str, Any]:
    changed = document()
    price = {"model": "standard", "unit": "1"}
    changed["coupons"] = []
    changed["plans"][0]["charges"] = [
        {"key": f"c{index}", "meter": "tokens", "when": when, "price": price} for index, when in enumerate(whens)
    ]
    return changed


def test_charges_that_one_event_could_tie_between_are_refused() -> None:
    for whens in (
        ({}, {}),
        ({"model": "a"}, {"model": "a"}),
        ({"model": "a"}, {"region": "eu"}),
        ({"model": "a"}, {"region": "eu"}, {"model": "a", "region": "us"}),
    ):
        with pytest.raises(RefusalError, match="ties with"):
            parse_catalog(charges(*whens))


def test_charges_never_tie_when_values_differ_or_a_more_specific_one_takes_the_event() -> None:
    parse_catalog(charges({}, {"model": "a"}, {"model": "b"}))
    parse_catalog(charges({"model": "a"}, {"region": "eu"}, {"model": "a", "region": "eu"}))


def test_more_tiers_than_ten_thousand_are_refused_and_ten_thousand_are_taken() -> None:
    def tiers(count: int) -> dict[str, Any]:
        changed = charges({})
        rows: list[dict[str, Any]] = [{"up_to": str(n + 1), "unit": "1"} for n in range(count - 1)]
        changed["plans"][0]["charges"][0]["price"] = {
            "model": "volume",
            "tiers": [*rows, {"up_to": None, "unit": "1"}],
        }
        return changed

    with at_most(300):
        parse_catalog(tiers(10_000))
        with pytest.raises(RefusalError, match="10000"):
            parse_catalog(tiers(10_001))


def test_thousands_of_mistakes_cost_no_more_time_than_a_few() -> None:
    changed = charges({})
    rows = [{"up_to": str(n + 1), "unit": "x", "unt": "1"} for n in range(3_000)]
    changed["plans"][0]["charges"][0]["price"] = {"model": "volume", "tiers": rows}
    with at_most(300), pytest.raises(DocumentError) as caught:
        parse_catalog(json.dumps(changed))
    assert len(caught.value.problems) == 200


_WHENS = st.lists(
    st.dictionaries(st.sampled_from(["model", "region"]), st.sampled_from(["a", "b"]), max_size=2), max_size=5
)


@law(60)
@given(_WHENS)
def test_a_catalog_is_refused_exactly_when_some_event_has_two_best_charges(
    whens: list[dict[str, str]],
) -> None:
    def best(event: dict[str, str]) -> int:
        matching = [len(when) for when in whens if when.items() <= event.items()]
        return matching.count(max(matching)) if matching else 0

    events = [{"model": m, "region": r} for m in "abc" for r in "abc"]
    try:
        parse_catalog(charges(*whens))
        taken = True
    except RefusalError:
        taken = False
    assert taken == all(best(event) <= 1 for event in events)


def test_a_wrong_price_formula_is_refused_at_its_place() -> None:
    changed = charges({})
    changed["plans"][0]["charges"][0]["price"] = {"model": "formula", "amount": "quantty * 2"}
    with pytest.raises(RefusalError, match="did you mean 'quantity'") as caught:
        parse_catalog(changed)
    assert caught.value.path == "plans[0].charges[0].price.amount"


def test_the_catalog_in_the_documentation_is_valid() -> None:
    text = (Path(__file__).parents[2] / "docs" / "catalog.md").read_text(encoding="utf-8")
    catalog = parse_catalog(text.split("```yaml\n")[1].split("```")[0])
    assert [charge.key for charge in catalog.plans[0].charges] == ["tokens", "large_tokens"]


@pytest.mark.parametrize(
    "inner",
    [
        {"model": "matrix", "dimensions": ["region"], "cells": [], "default_unit": "1"},
        {"model": "capacity", "tiers": [{"amount": "1"}]},
        {"model": "dynamic", "amount": "cost"},
        {"model": "percentage", "rate": "1", "fixed": "0.1"},
    ],
)
def test_a_price_that_needs_more_than_a_bucket_s_quantity_is_refused_when_published(inner: dict[str, Any]) -> None:
    meter = {"key": "m", "event_type": "e", "aggregation": "sum", "value": "v", "dimensions": ["region"]}
    charge = {"key": "c", "meter": "m", "price": {"model": "bucketed", "every": "hour", "price": inner}}
    document = {"schema": "valueverse.catalog/v1", "meters": [meter], "plans": [{"key": "p", "charges": [charge]}]}
    with pytest.raises(RefusalError) as refused:
        parse_catalog(document)
    assert refused.value.path == "plans[0].charges[0].price.price"


FIVE = """\
schema: valueverse.catalog/v1
meters:
  - {key: tokens, event_type: llm, aggregation: summ, value: n, dimensions: [model]}
  - {key: calls, event_type: llm, aggregation: count}
plans:
  - key: pro
    chargs: []
    fees: [{key: base, amount: 1234567890.1234567, taxes: [vta]}]
    charges:
      - {key: a, meter: cals, price: {model: standrd, unit: 1}}
      - {key: b, meter: calls, price: {model: standard, unit: 1}, when: {modl: x}}
taxes: [{key: vat, percent: 19}]
"""


def test_a_catalog_with_mistakes_shows_all_of_them_with_line_column_path_and_suggestion() -> None:
    with pytest.raises(DocumentError) as caught:
        parse_catalog(FIVE)
    found = [(one.path, one.line, one.column, one.suggestion) for one in caught.value.problems]
    assert found == [
        ("meters[0].aggregation", 3, 36, "sum"),
        ("plans[0].chargs", 7, 5, "charges"),
        ("plans[0].fees[0].amount", 8, 32, None),
        ("plans[0].fees[0].taxes[0]", 8, 60, "vat"),
        ("plans[0].charges[0].meter", 10, 18, "calls"),
        ("plans[0].charges[0].price.model", 10, 39, "standard"),
        ("plans[0].charges[1].when", 11, 67, None),
    ]
    assert {one.code for one in caught.value.problems} == {"bad_catalog"}


def test_the_same_mistakes_are_found_in_json_and_in_an_object() -> None:
    paths = set()
    for text in (FIVE, json.dumps(yaml.safe_load(FIVE.replace("1234567890.1234567", "-1")), indent=2)):
        with pytest.raises(DocumentError) as caught:
            parse_catalog(text)
        assert all(one.line for one in caught.value.problems)
        paths.add(tuple(sorted(one.path for one in caught.value.problems)))
    assert len(paths) == 1
    with pytest.raises(DocumentError) as caught:
        parse_catalog(yaml.safe_load(FIVE.replace("1234567890.1234567", "-1")))
    assert tuple(sorted(one.path for one in caught.value.problems)) in paths
    assert {one.line for one in caught.value.problems} == {0}


def test_a_wrong_charge_hides_no_reference_of_another_and_invents_none() -> None:
    changed = document()
    changed["plans"][0]["charges"][0]["price"] = {"model": "standard"}
    changed["coupons"][0]["applies_to"] = {"charges": ["large", "larg"]}
    with pytest.raises(DocumentError) as caught:
        parse_catalog(changed)
    assert [one.path for one in caught.value.problems] == [
        "plans[0].charges[0].price.unit",
        "coupons[0].applies_to.charges[1]",
    ]
