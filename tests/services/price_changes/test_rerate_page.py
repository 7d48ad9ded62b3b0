"""A re-rating plan as a page: everything that decides on it, in one file, and texts of others are only text."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from valueverse.errors import RefusalError
from valueverse.services.price_changes.money_changes import Change
from valueverse.services.price_changes.rerate_page import rerate_page
from valueverse.services.price_changes.rerate_review import Review, invoices_as_json, request_of

HOSTILE = "<script>alert(1)</script>&\"'\x1b[2J"
PLAN: dict[str, Any] = {
    "schema": "valueverse.rerating/v1", "tenants": ["acme", "beta"], "customers": [], "from": "2024-01-01",
    "to": "2024-02-01", "catalog_hash": "c" * 64, "events_known_at": "2024-02-03T00:00:00+00:00", "invoices": 4,
    "rows": [{}, {}, {}], "totals": [], "plan_id": "d" * 64,
}  # fmt: skip


def one(tenant: str, customer: str, number: str, before: str, after: str, currency: str = "USD") -> Change:
    return Change(tenant, customer, currency, Decimal(before), Decimal(after), number)


REVIEW = Review(
    PLAN,
    [
        one("acme", HOSTILE, "acme-000001", "1000", "1250.5"),
        one("acme", "small", "acme-000002", "10", "9"),
        one("beta", "other", "beta-000001", "7", "7"),
        one("beta", "far", "beta-000002", "5000", "5100", "JPY"),
    ],
)


def test_the_page_has_sums_winners_losers_every_invoice_the_hash_and_the_command() -> None:
    page = rerate_page(REVIEW, "valueverse rerate apply plan.json --catalog dearer.yaml")
    text = " ".join(re.sub(r"<svg.*?</svg>|<style.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL).split())
    for part in (
        "4 finalised invoices of periods that end after 2024-01-01 and up to 2024-02-01 were rated again; 3 of them",
        "difference in USD +249.50 USD +24.5 %; 1 pay more, 1 less, 1 the same",
        "acme USD 2 1,010.00 USD 1,259.50 USD +249.50 USD +24.7 %",
        "all tenants USD 3 1,017.00 USD 1,266.50 USD +249.50 USD +24.5 %",
        "1 pay less",
        "small acme 10.00 USD 9.00 USD -1.00 USD -10.0 %",
        "beta-000001 other beta 7.00 USD 7.00 USD 0.00 USD 0.0 %",
        "beta-000002 far beta 5,000 JPY 5,100 JPY +100 JPY +2.0 %",
        "d" * 64,
        "valueverse rerate apply plan.json --catalog dearer.yaml",
    ):
        assert part in text
    assert page.count("<svg") == 4, "a wide and a narrow chart for each currency"


def test_names_of_others_are_text_and_the_page_loads_nothing() -> None:
    page = rerate_page(REVIEW, HOSTILE)
    assert "<script" not in page
    assert "\x1b" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "default-src 'none'" in page
    assert re.findall(r"(?:src|href)\s*=\s*[\"'](?!#)[^\"']*", page) == []


def test_a_plan_that_changes_nothing_is_a_page_without_charts() -> None:
    same = replace(REVIEW, plan=PLAN | {"catalog_hash": None, "customers": ["c1"]}, invoices=REVIEW.invoices[2:3])
    page = rerate_page(same, "apply")
    assert "<svg" not in page
    assert "the terms as known now" in page


def test_invoices_as_json_have_the_decimals_of_their_currency() -> None:
    first, *_, last = invoices_as_json(REVIEW)
    assert json.dumps(last) == (
        '{"tenant": "beta", "customer": "far", "invoice": "beta-000002", "currency": "JPY", '
        '"before": "5000", "after": "5100", "difference": "100"}'
    )
    assert (first["before"], first["difference"]) == ("1000.00", "250.50")


@pytest.mark.parametrize(
    "plan",
    [{}, [], {"schema": "other"}, {"schema": PLAN["schema"]}, PLAN | {"from": "yesterday"}, PLAN | {"tenants": 3}],
)
def test_what_is_no_plan_is_refused(plan: Any) -> None:
    with pytest.raises(RefusalError, match="not a re-rating plan") as refused:
        request_of(plan)
    assert (refused.value.code, refused.value.path) == ("bad_plan", "PLAN")
