"""``invoicing`` of a tenant: account, terms and looks, each judged before it is printed on an invoice."""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from typing import Any

import pytest

from tests.reference_documents import catalog_schema
from valueverse.errors import RefusalError
from valueverse.events.billing_events import judge_billing_event
from valueverse.events.event_reference import events_schema

PNG = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\x0dIHDR"


def judge(**invoicing: Any) -> None:
    """Judge an event of a tenant that states this."""
    judge_billing_event("billing.tenant.updated", "acme", {"invoicing": invoicing}, lambda _: None)


def logo(width: int, height: int, picture: bytes = PNG) -> str:
    """A data URL of a picture of this size."""
    sides = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    return "data:image/png;base64," + base64.b64encode(picture + sides).decode()


@pytest.mark.parametrize(
    "details",
    [
        {"iban": "DE89370400440532013000"},
        {"iban": "gb82 west 1234 5698 7654 32", "bic": "WESTGB2L"},
        {"iban": "MT84MALT011000012345MTLCAST001S", "bic": "COBADEFFXXX"},
        {"payment_terms_days": 0, "payment_link": "https://pay.example/x?y=1", "locale": "de-AT"},
        {"payment_terms_days": Decimal(3660), "locale": "fr", "accent": "#0B6e4f", "logo": logo(2000, 1)},
        {"iban": None, "note": "HRB 1"},
    ],
)
def test_what_an_invoice_can_print_is_accepted(details: dict[str, Any]) -> None:
    judge(**details)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("iban", "DE89370400440532013001", "check digits of the IBAN DE89370400440532013001 are wrong"),
        ("iban", "DE98370400440532013000", "check digits"),
        ("iban", "12345", "'12345' is not an IBAN like"),
        ("iban", 12, "not an IBAN"),
        ("bic", "COBADE", "not a BIC of 8 or 11 characters"),
        ("payment_terms_days", -1, "not a whole number of days from 0 to 3660"),
        ("payment_terms_days", Decimal("1.5"), "not a whole number of days"),
        ("payment_terms_days", True, "not a whole number of days"),
        ("payment_terms_days", 3661, "not a whole number of days from 0 to 3660"),
        ("payment_link", "javascript:alert(1)", "not an address that begins with https://"),
        ("locale", "it", "not a locale like 'de' or 'de-AT' in English, German, French or Spanish"),
        ("accent", "red", "not a colour like #1f4e79"),
        ("logo", "https://acme.example/logo.png", "a PNG as a data URL"),
        ("logo", logo(2001, 10), "not a PNG of at most 2000 x 2000 pixels"),
        ("logo", logo(10, 10, b"GIF89a" + b"0" * 20), "not a PNG"),
        ("logo", "data:image/png;base64,%%", "not a PNG"),
        ("logo", "data:image/png;base64," + "A" * 200_000, "at most 200000"),
        ("ibann", "x", "iban"),
    ],
)
def test_what_would_be_printed_wrongly_is_refused_with_its_place(field: str, value: Any, message: str) -> None:
    with pytest.raises(RefusalError) as refused:
        judge(**{field: value})
    assert message in refused.value.message
    assert refused.value.path == f"data.invoicing.{field}"


def test_every_reference_of_the_schema_of_events_leads_somewhere() -> None:
    schema = events_schema(catalog_schema())
    text = json.dumps(schema)
    named = {part.partition('"')[0] for part in text.split('"$ref": "#/$defs/')[1:]}
    assert "InvoiceDetails" in named
    assert named == set(schema["$defs"])
