"""What an invoice's PDF shows: texts of four languages, names of the catalog, dates, tiers, taxes, payment."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pypdfium2
import pytest

from valueverse.invoicing.rendering.locale_formats import LANGUAGES, LocaleFormats, known_locale, messages_of
from valueverse.invoicing.rendering.parties import Parties
from valueverse.invoicing.rendering.payment import epc_code
from valueverse.invoicing.rendering.pdf import invoice_pdf
from valueverse.invoicing.rendering.presentation import presentation

if TYPE_CHECKING:
    from valueverse.invoicing.rendering.history import InvoiceHistory

JANUARY = {"from": "2023-12-31T23:00:00Z", "to": "2024-01-31T23:00:00Z"}
"""January in Berlin."""
FX = "{urn:factur-x:pdfa:CrossIndustryDocument:invoice:1p0#}"
PNG = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5Erk"
    "Jggg=="
)
SELLER = {
    "seller": "Acme GmbH", "seller_country": "DE", "seller_tax_id": "DE123456789",
    "seller_address": {"street": "Hauptstr. 1", "postal_code": "10115", "city": "Berlin"},
    "invoicing": {
        "iban": "DE89370400440532013000", "bic": "COBADEFFXXX", "bank": "Bank of Acme", "accent": "#0b6e4f",
        "payment_link": "https://pay.acme.example", "email": "billing@acme.example", "note": "HRB 12345", "logo": PNG,
    },
}  # fmt: skip
BUYER = {
    "buyer": "Kunde SARL", "buyer_country": "FR", "buyer_tax_id": "FR12345678901", "purchase_order": "PO-17",
    "buyer_address": {"street": "Rue 1", "postal_code": "75001", "city": "Paris"},
}  # fmt: skip
CATALOG = {
    "meters": [
        {
            "key": "tokens", "name": "Tokens", "unit": "tokens", "description": "Input and output",
            "translations": {"de": {"name": "Verarbeitete Token", "unit": "Token"}},
        }
    ],
    "plans": [
        {
            "key": "pro",
            "fees": [{"key": "base", "name": "Platform", "translations": {"de": {"name": "Plattform"}}}],
            "charges": [
                {
                    "key": "tokens", "meter": "tokens", "convert": {"divide_by": "1000"}, "included": "100",
                    "price": {"model": "graduated", "tiers": [{"unit": "0.0030"}, {"unit": "0.002"}]},
                }
            ],
        }
    ],
    "taxes": [{"key": "vat", "name": "VAT"}],
    "coupons": [{"key": "launch", "name": "Launch offer"}],
}  # fmt: skip


def line(**more: Any) -> dict[str, Any]:
    """A line of a fee, or what it is changed to."""
    return {
        "key": "base", "kind": "fee", "description": "Platform", "service_period": JANUARY, "meter": None,
        "dimensions": None, "quantity": None, "tiers": [], "amount_precise": "40", "amount": "40.00",
        "event_count": None, "explains": None,
    } | more  # fmt: skip


TIERS = [
    {"from": "0", "to": "10000", "quantity": "10000", "unit": "0.003", "flat": "0", "amount": "30"},
    {"from": "10000", "to": None, "quantity": "12361.87", "unit": "0.002", "flat": "5", "amount": "29.72374"},
]
USAGE = line(
    key="tokens", kind="usage", description="tokens", meter="tokens", quantity="22361.87", tiers=TIERS,
    dimensions={"model": "large"}, amount_precise="59.72374", amount="59.72", event_count=7,
)  # fmt: skip


def document(**more: Any) -> dict[str, Any]:
    """A finalised invoice in EUR, with tax on its fee."""
    return {
        "number": "acme-000001", "tenant": "acme", "customer": "c1", "subscription": "s1", "status": "finalised",
        "currency": "EUR", "issued_on": "2024-02-02", "due_on": "2024-03-03", "period": JANUARY,
        "lines": [line(), USAGE], "discounts": [{"key": "launch", "amount": "9.72"}],
        "taxes": [{"key": "vat", "percent": "19", "base": "35.00", "amount": "6.65", "lines": [1]}],
        "credits": [{"kind": "wallet", "key": "main", "amount": "10.00"}],
        "subtotal": "99.72", "discount_total": "9.72", "tax_total": "6.65", "total": "96.65", "credit_total": "10.00",
        "amount_due": "86.65", "content_hash": "ab" * 32,
        "basis": {
            "events_known_at": "2024-02-01T00:00:00Z", "catalog_hash": "c", "rules_version": "1",
            "rounding": {"mode": "half_up", "level": "line"},
        },
    } | more  # fmt: skip


def parties(**more: Any) -> Parties:
    """Acme in Berlin and a customer in Paris."""
    return Parties(**({**SELLER, **BUYER, "zones": ("Europe/Berlin",)} | more))


def shown(
    locale: str = "en", catalog: dict[str, Any] | None = CATALOG, history: InvoiceHistory | None = None, **more: Any
) -> dict[str, Any]:
    """The presentation of ``document(**more)``."""
    return presentation(document(**more), parties(locale=locale), catalog, history)


def test_every_language_has_every_message_with_the_same_placeholders() -> None:
    english = messages_of("en")
    for language in LANGUAGES:
        messages = messages_of(language)
        assert list(messages) == sorted(english)
        for key, text in messages.items():
            assert text.strip() == text != ""
            assert set(re.findall(r"{(\w*)}", text)) == set(re.findall(r"{(\w*)}", english[key])), (language, key)


def test_a_locale_without_a_catalogue_of_messages_is_not_used() -> None:
    assert [known_locale(name) for name in ("de-AT", "fr", "en_GB", "it", "xx-yy", 12, None, "")] == [
        "de_AT", "fr", "en_GB", None, None, None, None, None,
    ]  # fmt: skip
    chosen = Parties.of({"buyer_metadata": '{"locale": "it"}', "seller_invoicing": '{"locale": "de"}'}, "a", "c")
    assert chosen.locale == "de"


def test_tiers_are_sentences_with_the_unit_of_the_catalog() -> None:
    first, second = shown()["lines"][1]["tiers"]
    assert first == ["0 to 10,000 at 0.003 per 1,000 tokens", "30.00"]
    assert second == ["10,000 to 22,361.87 at 0.002 per 1,000 tokens, plus 5.00", "29.72374"]
    assert shown()["lines"][1]["quantity"] == "22,361.87 \N{MULTIPLICATION SIGN} 1,000 tokens"
    assert shown(catalog=None)["lines"][1]["tiers"][0][0] == "0 to 10,000 at 0.003 each"


def test_a_unit_is_shown_only_where_the_catalog_has_the_invoice_s_prices() -> None:
    """Overrides of a subscription may have changed what one priced unit is."""
    tiers = [TIERS[0] | {"unit": "0.004", "amount": "40"}]
    usage = shown(lines=[USAGE | {"tiers": tiers}])["lines"][0]
    assert (usage["quantity"], usage["tiers"][0][0]) == ("22,361.87", "0 to 10,000 at 0.004 each")


def test_a_tier_whose_price_does_not_multiply_to_its_amount_states_no_price() -> None:
    block = {"from": "0", "to": "100", "quantity": "95", "unit": "3", "flat": "0", "amount": "30"}
    volume = {"from": "100", "to": None, "quantity": "250", "unit": "0.25", "flat": "0", "amount": "62.5"}
    lines = [USAGE | {"tiers": [block]}, USAGE | {"tiers": [volume]}]
    assert [one["tiers"][0][0] for one in shown(catalog=None, lines=lines)["lines"]] == [
        "0 to 95",
        "All 250 at 0.25 each",
    ]


def test_names_are_those_of_the_catalog_in_the_customer_s_language() -> None:
    german = shown("de")
    assert [one["title"] for one in german["lines"]] == ["Plattform", "Verarbeitete Token"]
    assert german["lines"][1]["details"] == ["Input and output", "model: large"]
    assert german["lines"][1]["quantity"] == "22.361,87 \N{MULTIPLICATION SIGN} 1.000 Token"
    assert [row[0] for row in german["totals"]] == [
        "Zwischensumme", "Rabatt Launch offer", "VAT 19 %", "Gesamt EUR", "Guthaben main", "Zahlbetrag EUR",
    ]  # fmt: skip
    assert [one["title"] for one in shown(catalog=None)["lines"]] == ["Platform", "tokens"]


def test_a_fee_without_a_name_has_a_translated_one_and_one_of_another_name_stays() -> None:
    sold = {"plans": [{"key": "pro", "fees": [{"key": "base", "translations": {"de": {"name": "Grundgebühr"}}}]}]}
    lines = [line(description="base fee (3 of 31 days)"), line(description="Platform")]
    found = shown("de", catalog=sold, lines=lines)["lines"]
    assert [one["title"] for one in found] == ["Grundgebühr (3 von 31 Tagen)", "Platform"]


def test_an_account_is_printed_in_groups_however_the_event_wrote_it() -> None:
    stated = Parties.of({"seller_invoicing": '{"iban": "de89 370400440532013000"}'}, "acme", "c1")
    assert stated.invoicing["iban"] == "DE89370400440532013000"


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("fee", "unused share of Platform (3 of 31 days)", "Nicht genutzter Anteil von Plattform (3 von 31 Tagen)"),
        ("minimum", "minimum of Platform", "Mindestbetrag für Plattform"),
        ("minimum", "minimum commitment: what the period's fees and charges lack of it",
         "Mindestabnahme: Differenz dieses Zeitraums"),
        ("adjustment", "correction of Platform (3 of 31 days) for 2024-01-01 to 2024-02-01: as known now",
         "Korrektur zu Plattform (3 von 31 Tagen): nach heutigem Stand"),
        ("one_off", "Set-up (2 of 3 days)", "Set-up (2 of 3 days)"),
    ],
)  # fmt: skip
def test_descriptions_of_the_engine_are_translated_and_others_shown_as_they_are(
    kind: str, text: str, expected: str
) -> None:
    (found,) = shown("de", lines=[line(kind=kind, description=text)])["lines"]
    assert found["title"] == expected


def test_days_are_inclusive_and_of_the_zone_that_was_billed() -> None:
    berlin = LocaleFormats("en_GB", "EUR", (None, "Asia/Tokyo", "Europe/Berlin"))
    assert berlin.days(JANUARY) == "1\N{EN DASH}31 Jan 2024"
    assert berlin.days({"from": "2024-01-01T00:00:00Z", "to": "2024-01-02T00:00:00Z"}) == "1 Jan 2024"
    assert berlin.days({"from": "2024-05-05T10:00:00Z", "to": "2024-05-05T10:00:00Z"}) == "5 May 2024"


def test_numbers_keep_their_digits_or_are_marked_as_about() -> None:
    formats = LocaleFormats("fr", "BHD", ())
    assert formats.amount("-1234567890123456.789") == "\N{MINUS SIGN}1 234 567 890 123 456,789".replace(" ", "\u202f")
    assert formats.price("0.000000000000000001") == "0,000000000000000001"
    assert formats.quantity("2.3333333333") == "\N{ALMOST EQUAL TO} 2,333333"
    assert LocaleFormats("en", "JPY", ()).amount("1200") == "1,200"


def test_taxes_are_summed_up_per_rate_with_what_is_not_taxed() -> None:
    assert shown()["taxes"]["rows"] == [["VAT", "19 %", "35.00", "6.65"], ["Not taxed", "", "55.00", "0.00"]]
    both = [document()["taxes"][0] | {"lines": [1, 2]}]
    assert len(shown(taxes=both)["taxes"]["rows"]) == 1


def test_reverse_charge_is_stated_between_businesses_of_two_member_states_and_only_where_nothing_is_taxed() -> None:
    untaxed = document(taxes=[], tax_total="0.00", total="90.00")
    assert "Article 196" in presentation(untaxed, parties(), CATALOG)["legal"][0]
    for other in ({"buyer_country": "DE"}, {"buyer_country": "CH"}, {"buyer_tax_id": None}, {"seller_tax_id": None}):
        assert presentation(untaxed, parties(**other), CATALOG)["legal"] == []
    assert shown()["legal"] == []


def test_payment_says_what_is_due_until_when_and_how() -> None:
    payment = shown("de")["payment"]
    assert payment["texts"] == ["Bitte zahlen Sie 86,65\xa0EUR bis zum 3. März 2024 unter Angabe von acme-000001."]
    assert payment["rows"][1] == ["IBAN", "DE89 3704 0044 0532 0130 00"]
    assert payment["code"].startswith("<svg")
    for change, text in (
        ({"status": "voided"}, "This invoice is void: it is not to be paid."),
        ({"amount_due": "0.00"}, "Nothing is to be paid."),
        ({"amount_due": "-5.00"}, "This amount is credited to your next invoices. Nothing is to be paid."),
    ):
        payment = shown(**change)["payment"]
        assert (payment["texts"], payment["rows"], payment["code"]) == ([text], [], None)
        assert "Due" not in dict(shown(**change)["facts"])
    assert dict(shown()["facts"])["Due"] == "March 3, 2024"
    assert shown(status="draft", number=None)["payment"]["texts"] == []


def test_a_code_is_made_only_for_euros_and_where_banks_read_it() -> None:
    assert epc_code(document(), parties(), Decimal(1)) is not None
    assert epc_code(document(currency="USD"), parties(), Decimal(1)) is None
    french = parties(invoicing={"iban": "FR1420041010050500013M02606"})
    assert epc_code(document(), french, Decimal(1)) is None
    assert epc_code(document(), parties(invoicing={}), Decimal(1)) is None


def test_the_pdf_shows_both_parties_logo_and_code_in_each_language() -> None:
    for language, expected in (("en", "Purchase order"), ("de", "Bestellnummer"), ("fr", "Bon de commande"),
                               ("es", "Orden de compra")):  # fmt: skip
        page = pypdfium2.PdfDocument(invoice_pdf(document(), parties(locale=language), CATALOG))[0]
        text = page.get_textpage().get_text_bounded()
        for part in ("Acme GmbH", "10115 Berlin", "DE123456789", "Kunde SARL", "75001 Paris", "FR12345678901", expected,
                     "PO-17", "DE89 3704 0044 0532 0130 00", "https://pay.acme.example", "HRB 12345",
                     "ab" * 32):  # fmt: skip
            assert part in text, (language, part)


def used(key: str, amount: str, **more: Any) -> dict[str, Any]:
    """A usage line of this amount."""
    return line(key=key, kind="usage", description=key, quantity="1", amount=amount, amount_precise=amount, **more)


def test_usage_is_drawn_as_bars_the_largest_first_and_the_small_ones_together() -> None:
    assert shown(catalog=None)["usage"] is None
    lines = [line(), *(used(f"u{number}", f"{number}.00") for number in range(1, 11)), used("back", "-3.00")]
    bars = shown(lines=lines)["usage"]["bars"]
    assert [bar[0] for bar in bars] == ["u10", "u9", "u8", "u7", "u6", "u5", "u4", "Other"]
    assert (bars[0][2], bars[1][2], bars[-1][1:]) == (1000, 900, ["6.00", 600])
    both = [used("calls", "1.00", dimensions={"region": "eu"}), used("calls", "3.00", dimensions={"region": "us"})]
    assert shown(lines=both)["usage"]["bars"] == [
        ["calls (region: us)", "3.00", 1000],
        ["calls (region: eu)", "1.00", 333],
    ]


def test_included_usage_is_shown_where_the_tiers_prove_it() -> None:
    proven = USAGE | {"quantity": "22461.87"}
    (row,) = shown(lines=[proven])["usage"]["progress"]
    thousands = "100 \N{MULTIPLICATION SIGN} 1,000"
    assert row == ["Included usage: Tokens", f"{thousands} of {thousands} included tokens", 1000]
    # An override of the subscription, or a threshold, billed other units than the catalog's.
    assert shown(lines=[USAGE | {"quantity": "22561.87"}])["usage"] is None


def test_a_commitment_is_shown_where_the_invoice_has_all_that_counts_towards_it() -> None:
    text = "minimum commitment: what the period's fees and charges lack of it"
    lack = line(key="commitment", kind="minimum", description=text, amount="60.00")
    advance = line(service_period={"from": JANUARY["to"], "to": "2024-02-29T23:00:00Z"})
    sold = {"plans": [{"key": "pro", "commitment": {"minimum": "100.00"}}]}
    found = shown(catalog=sold, lines=[line(), advance, lack])["usage"]["progress"]
    assert found == [["Minimum commitment", "40.00\xa0EUR of 100.00\xa0EUR", 400]]
    assert (
        shown(catalog={"plans": [{"key": "pro", "commitment": {"minimum": "149.00"}}]}, lines=[line(), lack])["usage"]
        is None
    )
