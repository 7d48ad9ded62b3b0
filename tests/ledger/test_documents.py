"""What the journal reads out of invoice documents, and which it refuses."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
import pytest

from tests.support.journal import document, line, read
from valueverse.errors import RefusalError
from valueverse.ledger.documents import read_documents


def of(*texts: str) -> pl.DataFrame:
    return pl.DataFrame({"document": texts, "timezone": ["UTC"] * len(texts)})


def test_amounts_become_minor_units_by_the_currencys_decimals() -> None:
    yen = {"lines": [{"amount": "-7", "service_period": {"from": None, "to": None}}], "currency": "JPY"}
    totals = {"discount_total": "0", "tax_total": "0", "total": "-7", "credit_total": "0"}
    found = read(document(1, [line(-5)]), document(2, []) | yen | totals)
    assert found.lines["amount_minor"].to_list() == [-5, -7]
    assert found.invoices["total_minor"].to_list() == [-5, -7]


def test_a_draft_goes_by_its_content_hash() -> None:
    found = read(document(1, [line(5)]) | {"number": None, "content_hash": "ab" * 32})
    assert found.invoices["number"].to_list() == ["ab" * 8]


def test_a_document_given_twice_counts_once() -> None:
    one = document(1, [line(5), line(6)])
    assert read(one, one).lines.height == 2


@pytest.mark.parametrize("text", ["", "[]", "7", "{", '"text"', '{"lines": 7}', "{}", '{"number": "a"}'])
def test_what_is_no_invoice_document_is_refused_with_its_row(text: str) -> None:
    good = json.dumps(document(1, [line(5)]))
    with pytest.raises(RefusalError) as refused:
        read_documents(of(good, text))
    assert refused.value.code == "bad_document"


@pytest.mark.parametrize("amount", ["0.050", "5", "1e1", "five", "", "0,05", None, "99999999999999999999.00"])
def test_an_amount_without_the_currencys_decimals_is_refused(amount: str | None) -> None:
    odd: dict[str, Any] = document(1, [line(5)])
    odd["lines"][0]["amount"] = amount
    with pytest.raises(RefusalError, match="decimals"):
        read(odd)


@pytest.mark.parametrize("changed", [{"total": "0.06"}, {"tax_total": "0.01"}, {"credit_total": "0.01"}])
def test_a_document_that_does_not_add_up_is_refused(changed: dict[str, str]) -> None:
    with pytest.raises(RefusalError, match="does not add up"):
        read(document(1, [line(5)]) | changed)


def test_an_unknown_currency_is_refused() -> None:
    with pytest.raises(RefusalError, match="ISO 4217"):
        read(document(1, [line(5)], currency="XXY"))
