"""Billing events hold no numbers of cards and accounts; what merely has as many digits is taken."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valueverse.catalog import parse_catalog
from valueverse.errors import RefusalError
from valueverse.events import judge_billing_event
from valueverse.events.payment_numbers import card_numbers, ibans

CARDS = [
    "4111111111111111", "4222222222222", "5555555555554444", "2223003122003222", "378282246310005", "6011111111111117",
    "3530111333300000", "30569309025904", "6200000000000005",
]  # fmt: skip
"""Numbers that payment providers publish for tests, one for each network and length."""
IBAN = "DE89 3704 0044 0532 0130 00"
CREATED, PAID = "billing.customer.created", "billing.payment.received"
CUSTOMER = {"customer": "c1", "name": "Ada"}
PAYMENT = {"invoice": "acme-000001", "amount": "10", "currency": "EUR"}


@pytest.mark.parametrize("number", CARDS)
def test_card_numbers_of_every_network_are_found_in_any_text(number: str) -> None:
    assert card_numbers(f'{{"reference": "{number}"}}') == [number]
    assert card_numbers(number[:-1] + str((int(number[-1]) + 1) % 10)) == [], "the check digit is wrong"


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1111", "4111-1111-1111-1111", "paid by 3782 822463 10005", "card:4111111111111111.",
        "4111.1111.1111.1111", "4111/1111/1111/1111",
    ],
)  # fmt: skip
def test_card_numbers_are_found_in_the_groups_that_are_printed(text: str) -> None:
    assert len(card_numbers(text)) == 1


@pytest.mark.parametrize("gap", ["\u00a0", "\u2009", "\u2011", "\u2013", "\u200b", "\u00ad"])
@pytest.mark.parametrize("zero", ["0", "\uff10", "\u0660", "\u0966"])
def test_numbers_are_found_in_every_script_and_with_separators_that_are_not_seen(zero: str, gap: str) -> None:
    def written(text: str) -> str:
        return "".join(chr(ord(zero) + int(one)) if one.isdigit() else one for one in text)

    assert card_numbers("Karte: " + written(gap.join(["4111", "1111", "1111", "1111"]))) == ["4111111111111111"]
    assert ibans(f"\u00fcber {written(IBAN).replace(' ', gap)}" if gap not in "\u2011\u2013" else IBAN) == [
        IBAN.replace(" ", "")
    ]


@pytest.mark.parametrize(
    "text",
    [
        "ch_4111111111111111", "4111111111111111a", "41111111111111111111111", "1700000000000000", "0.4111111111111111",
        "4111111111111111.5", "4111 1111-1111 1111", "2024-01-01", "pi-3Nf9dL2eZvKYlo2C1a2b3c4d", "DE89 0000", "",
    ],
)  # fmt: skip
def test_ids_amounts_and_longer_numbers_are_none(text: str) -> None:
    assert (card_numbers(text), ibans(text)) == ([], [])


@given(st.text(alphabet="0123456789", min_size=13, max_size=19))
def test_at_most_one_of_ten_numbers_that_differ_in_the_last_digit_is_a_card_number(digits: str) -> None:
    assert sum(bool(card_numbers(digits[:-1] + last)) for last in "0123456789") <= 1


@pytest.mark.parametrize(
    ("kind", "data", "path"),
    [
        (CREATED, CUSTOMER | {"metadata": {"card": {"number": CARDS[0]}}}, "data.metadata.card.number"),
        (CREATED, CUSTOMER | {"metadata": {"notes": ["x", f"to {IBAN}"]}}, "data.metadata.notes[1]"),
        (CREATED, CUSTOMER | {"metadata": {"amex": int(CARDS[4])}}, "data.metadata.amex"),
        (CREATED, CUSTOMER | {"metadata": {CARDS[0]: "a key"}}, "data.metadata"),
        (PAID, PAYMENT | {"reference": "from GB82WEST12345698765432"}, "data.reference"),
        ("billing.catalog.published", {"plans": [{"name": f"for {CARDS[0]}"}]}, "data.plans[0].name"),
    ],
)  # fmt: skip
def test_a_billing_event_with_the_number_of_a_card_or_account_is_refused_at_its_place(
    kind: str, data: dict[str, Any], path: str
) -> None:
    with pytest.raises(RefusalError) as refused:
        judge_billing_event(kind, "acme", data, parse_catalog)
    assert (refused.value.code, refused.value.path) == ("payment_instrument", path)
    assert not card_numbers(refused.value.message)
    assert not ibans(refused.value.message)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("billing.tenant.updated", {"tenant": "acme", "invoicing": {"iban": IBAN}}),
        (PAID, PAYMENT | {"reference": "tok_4f9d2c4111111111111111"}),
        (PAID, PAYMENT | {"reference": "4111111111111112"}),
        (CREATED, CUSTOMER | {"metadata": {"active": True, "seats": 3, "none": None}}),
    ],
)
def test_tokens_ids_and_the_account_that_a_tenant_is_paid_to_are_taken(kind: str, data: dict[str, Any]) -> None:
    judge_billing_event(kind, "acme", data, parse_catalog)
