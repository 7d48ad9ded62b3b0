"""One invoice with a line of each common kind, word for word as its document says it."""

from __future__ import annotations

import copy
from typing import Any

from tests.support.ledger import World
from valueverse.invoicing.rendering.document_hash import content_hash
from valueverse.invoicing.rules import RULES_VERSION

METER = {"key": "tokens", "event_type": "used", "aggregation": "sum", "value": "n", "dimensions": ["region"]}
TIERS = [{"up_to": "10", "unit": "1", "flat": "2"}, {"up_to": None, "unit": "0.5"}]
PLAN: dict[str, Any] = {
    "key": "pro",
    "period": {"align": "calendar"},
    "taxes": ["vat"],
    "fees": [{"key": "base", "amount": "30", "timing": "in_arrears"}],
    "charges": [
        {
            "key": "usage",
            "name": "Tokens",
            "meter": "tokens",
            "split_by": ["region"],
            "price": {"model": "graduated", "tiers": TIERS},
        }
    ],
}
CATALOG: dict[str, Any] = {
    "meters": [METER],
    "plans": [PLAN],
    "taxes": [{"key": "vat", "percent": "10"}],
    "coupons": [{"key": "launch", "percent": "20"}],
}
FULL = {"from": "2024-01-16T12:00:00.500Z", "to": "2024-02-01T00:00:00Z"}


def the_document(catalog: dict[str, Any] = CATALOG, **stated: Any) -> dict[str, Any]:
    acme = World(catalog)
    if stated:
        acme.record("tenant.updated", "2024-01-17", {"invoicing": stated})
    acme.start("2024-01-16T12:00:00.500000+00:00")
    acme.record("coupon.applied", "2024-01-17", {"customer": "c1", "coupon": "launch"})
    wallet = {"customer": "c1", "wallet": "main", "amount": "5.50", "currency": "USD"}
    acme.record("wallet.granted", "2024-01-17", wallet)
    for value in ("10", "2.5"):
        acme.use("2024-01-20", "tokens", value, dimensions='{"region":"eu"}')
    (document,) = acme.documents("2024-01-01", "2024-02-01")
    return document


def test_lines_say_what_was_used_how_it_was_priced_and_for_which_time() -> None:
    fee, usage = the_document()["lines"]
    # 30.00 for 16 of 31 days.
    assert fee == {
        "key": "base",
        "kind": "fee",
        "description": "base fee (16 of 31 days)",
        "service_period": FULL,
        "meter": None,
        "dimensions": None,
        "quantity": None,
        "tiers": [],
        "amount_precise": "15.483870967741935484",
        "amount": "15.48",
        "event_count": None,
        "explains": None,
    }
    # 10 x 1 + 2 in the first tier, 2.5 x 0.5 in the second.
    assert usage == {
        "key": "usage",
        "kind": "usage",
        "description": "Tokens",
        "service_period": FULL,
        "meter": "tokens",
        "dimensions": {"region": "eu"},
        "quantity": "12.5",
        "tiers": [
            {"from": "0", "to": "10", "quantity": "10", "unit": "1", "flat": "2", "amount": "12"},
            {"from": "10", "to": None, "quantity": "2.5", "unit": "0.5", "flat": "0", "amount": "1.25"},
        ],
        "amount_precise": "13.25",
        "amount": "13.25",
        "event_count": 2,
        "explains": "2 events of meter tokens",
    }


def test_a_document_says_who_owes_what_by_when_and_for_what() -> None:
    document = the_document()
    basis = document["basis"]
    assert document["content_hash"] == content_hash({k: v for k, v in document.items() if k != "content_hash"})
    assert len(basis.pop("catalog_hash")) == 64
    # 28.73 less 20 % is 22.98 (5.746 comes off as 5.75), of which 10 % is 2.298; the wallet pays 5.50 of 25.28.
    assert {name: value for name, value in document.items() if name not in {"lines", "content_hash"}} == {
        "number": None,
        "tenant": "acme",
        "customer": "c1",
        "subscription": "s1",
        "status": "draft",
        "currency": "USD",
        "issued_on": "2024-02-02",
        "due_on": "2024-03-03",
        "period": FULL,
        "discounts": [{"key": "launch", "amount": "5.75"}],
        "taxes": [{"key": "vat", "percent": "10", "base": "22.98", "amount": "2.30", "lines": [1, 2]}],
        "credits": [{"kind": "wallet", "key": "main", "amount": "5.50"}],
        "subtotal": "28.73",
        "discount_total": "5.75",
        "tax_total": "2.30",
        "total": "25.28",
        "credit_total": "5.50",
        "amount_due": "19.78",
        "basis": {
            "events_known_at": "2024-02-01T00:00:00Z",
            "rules_version": RULES_VERSION,
            "rounding": {"mode": "half_up", "level": "line"},
        },
        "previous_hash": None,
    }


def test_payment_terms_that_a_tenant_states_set_the_due_date_alone() -> None:
    usual = the_document()
    assert the_document(iban="DE89370400440532013000") == usual
    stated = the_document(payment_terms_days=14)
    assert stated["due_on"] == "2024-02-16"
    assert {key: value for key, value in stated.items() if usual[key] != value}.keys() == {"due_on", "content_hash"}
    assert the_document(payment_terms_days=0)["due_on"] == usual["issued_on"]


def test_units_descriptions_and_translations_change_nothing_but_the_hash_of_the_catalog() -> None:
    named = copy.deepcopy(CATALOG)
    sold = named["plans"][0]
    for part in (*named["meters"], *named["taxes"], *named["coupons"], *sold["fees"], *sold["charges"]):
        part["translations"] = {"de": {"name": "Name", "description": "Text"}}
    named["meters"][0] |= {"unit": "tokens", "description": "All models"}
    usual, found = the_document(), the_document(named)
    for one in (usual, found):
        del one["basis"]["catalog_hash"], one["content_hash"]
    assert found == usual
