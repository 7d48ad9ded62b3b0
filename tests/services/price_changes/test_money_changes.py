"""Differences of what customers pay: sums by currency, who pays more and who less, and amounts as text."""

from __future__ import annotations

from decimal import Decimal

import pytest

from valueverse.services.price_changes.money_changes import (
    Change,
    amounts_in_text,
    by_currency,
    by_customer,
    compared_changes,
    money_text,
    percent_text,
)


def change(customer: str, before: str, after: str, currency: str = "USD", tenant: str = "acme") -> Change:
    return Change(tenant, customer, currency, Decimal(before), Decimal(after))


def test_each_currency_says_who_pays_more_and_less_the_largest_difference_first() -> None:
    changes = [
        change("a", "100", "90"),
        change("b", "100", "130"),
        change("c", "5", "5"),
        change("d", "0", "31"),
        change("e", "1000", "900", "JPY"),
        change("b", "100", "110", tenant="other"),
    ]
    yen, dollars = by_currency(changes)
    assert (yen.currency, yen.difference, yen.percent, yen.customers) == ("JPY", Decimal(-100), Decimal("-10.0"), 1)
    assert [(one.tenant, one.customer) for one in dollars.more] == [("acme", "d"), ("acme", "b"), ("other", "b")]
    assert [one.customer for one in dollars.less] == ["a"]
    assert (dollars.same, dollars.customers, dollars.before, dollars.after) == (1, 5, Decimal(305), Decimal(366))
    assert by_currency([]) == []


def test_invoices_of_a_customer_add_up_and_those_of_another_tenant_do_not() -> None:
    invoices = [
        change("a", "1", "2"),
        change("a", "10", "20"),
        change("a", "5", "5", tenant="b"),
        change("a", "1", "1", "EUR"),
    ]
    assert by_customer(invoices) == [
        change("a", "11", "22"),
        change("a", "5", "5", tenant="b"),
        change("a", "1", "1", "EUR"),
    ]


def test_totals_in_all_are_no_customers() -> None:
    row = {"tenant": "acme", "customer": "c", "currency": "USD", "total": "1.00", "compared_total": "2.00"}
    assert compared_changes([row, row | {"tenant": None, "customer": None}]) == [change("c", "1.00", "2.00")]


@pytest.mark.parametrize(
    ("before", "after", "currency", "texts"),
    [
        ("1234.5", "1334.5", "USD", ("1,234.50 USD", "1,334.50 USD", "+100.00 USD", "+8.1 %")),
        ("-10", "-15", "USD", ("-10.00 USD", "-15.00 USD", "-5.00 USD", "-50.0 %")),
        ("0", "10000", "JPY", ("0 JPY", "10,000 JPY", "+10,000 JPY", "new")),
        ("7", "7", "BHD", ("7.000 BHD", "7.000 BHD", "0.000 BHD", "0.0 %")),
        ("99999999999999999999", "0", "USD", ("99,999,999,999,999,999,999.00 USD", "0.00 USD",
                                              "-99,999,999,999,999,999,999.00 USD", "-100.0 %")),
    ],
)  # fmt: skip
def test_amounts_have_thousands_their_currency_and_a_sign(
    before: str, after: str, currency: str, texts: tuple[str, ...]
) -> None:
    assert amounts_in_text(change("c", before, after, currency)) == texts
    assert money_text(Decimal(after), currency) == texts[1]
    assert percent_text(change("c", before, after).percent) == texts[3]
