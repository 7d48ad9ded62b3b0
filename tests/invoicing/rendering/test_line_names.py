"""One function names a line for PDF, electronic invoice and terminal: display names in the document's language, the
part of a split charge, and the days of the tenant."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Any

import pypdfium2
import pytest

from tests.invoicing.rendering.test_presentation import CATALOG, document, line, parties, shown
from valueverse.invoicing.rendering import ExplainedInvoice
from valueverse.invoicing.rendering.electronic import Syntax, invoice_xml
from valueverse.invoicing.rendering.pdf import invoice_pdf

TOKYO = {"from": "2025-12-31T15:00:00Z", "to": "2026-01-31T15:00:00Z"}
"""January in Tokyo."""
LATE = "usage received, amended or voided since"
COMMITMENT = "minimum commitment: what the period's fees and charges lack of it"
SOLD = CATALOG | {
    "meters": [*CATALOG["meters"], {"key": "toks", "name": "Small tokens", "translations": {"de": {"name": "Kleine"}}}],
    "plans": [
        {
            "key": "pro",
            "fees": [{"key": "base", "name": "Platform", "translations": {"de": {"name": "Plattform"}}}],
            "charges": [
                {"key": "toks", "meter": "toks"},
                {"key": "calls", "name": "API calls", "meter": "calls", "description": "Requests"},
            ],
        }
    ],
}


def stated(what: str) -> str:
    """A correction as a document states it, with days of UTC."""
    return f"correction of {what} for 2025-12-31 to 2026-01-31: "


LINES: list[tuple[dict[str, Any], str, str]] = [
    ({"description": "Platform (3 of 31 days)"}, "Platform (3 of 31 days)", "Plattform (3 von 31 Tagen)"),
    ({"key": "toks", "kind": "usage", "description": "toks", "dimensions": {"region": "eu"}},
     "Small tokens (region: eu)", "Kleine (region: eu)"),
    ({"key": "toks", "kind": "usage", "description": "toks", "dimensions": {"region": None}},
     "Small tokens (without region)", "Kleine (ohne region)"),
    ({"key": "toks", "kind": "usage", "description": "toks", "dimensions": {"region": "None"}},
     "Small tokens (region: None)", "Kleine (region: None)"),
    ({"key": "calls", "kind": "usage", "description": "calls"}, "API calls", "API calls"),
    ({"key": "toks", "kind": "minimum", "description": "minimum of toks"},
     "Minimum of Small tokens", "Mindestbetrag für Kleine"),
    ({"key": "toks", "kind": "adjustment", "description": f"{stated('minimum of toks')}as known now"},
     "Correction of Minimum of Small tokens: as known now",
     "Korrektur zu Mindestbetrag für Kleine: nach heutigem Stand"),
    ({"key": "toks", "kind": "adjustment", "description": f"{stated('toks')}{LATE}", "meter": "toks",
      "dimensions": {"region": "eu"}},
     f"Correction of Small tokens (region: eu): {LATE}",
     "Korrektur zu Kleine (region: eu): seither eingegangene, geänderte oder stornierte Nutzung"),
    ({"key": "commitment", "kind": "adjustment", "description": f"{stated(COMMITMENT)}as known now"},
     "Correction of Minimum commitment: shortfall of this period: as known now",
     "Korrektur zu Mindestabnahme: Differenz dieses Zeitraums: nach heutigem Stand"),
    ({"key": "commitment", "kind": "adjustment", "description": f"{stated(stated(COMMITMENT) + 'as known now')}x"},
     "Correction of Minimum commitment: shortfall of this period: as known now",
     "Korrektur zu Mindestabnahme: Differenz dieses Zeitraums: nach heutigem Stand"),
    ({"key": "base", "kind": "adjustment", "description": f"{stated('unused share of Platform (2 of 31 days)')}x"},
     "Correction of Unused share of Platform (2 of 31 days): as known now",
     "Korrektur zu Nicht genutzter Anteil von Plattform (2 von 31 Tagen): nach heutigem Stand"),
    ({"key": "work", "kind": "one_off", "description": "Set-up (2 of 3 days)"}, "Set-up (2 of 3 days)",
     "Set-up (2 of 3 days)"),
]  # fmt: skip


@pytest.fixture(scope="module")
def corrected() -> dict[str, Any]:
    """An invoice of a tenant in Tokyo with a line of every kind, without taxes."""
    lines = [line(service_period=TOKYO, **{"amount": "1.00", **more}) for more, _, _ in LINES]
    total = f"{len(lines)}.00"
    return document(
        lines=lines, period=TOKYO, discounts=[], taxes=[], credits=[], subtotal=total, discount_total="0.00",
        tax_total="0.00", total=total, credit_total="0.00", amount_due=total,
    )  # fmt: skip


@pytest.mark.parametrize("syntax", ["ubl", "cii"])
@pytest.mark.parametrize("locale", ["en", "de"])
def test_an_electronic_invoice_names_lines_as_its_pdf_does(
    corrected: dict[str, Any], locale: str, syntax: Syntax
) -> None:
    zones = ("Asia/Tokyo",)
    who = parties(locale=locale, zones=zones)
    root = ET.fromstring(invoice_xml(corrected, *who.for_xml(), SOLD, syntax=syntax))
    item = "Item" if syntax == "ubl" else "SpecifiedTradeProduct"
    names = [one.findtext("{*}Name") for one in root.iter() if one.tag.endswith(f"}}{item}")]
    assert names == [english if locale == "en" else german for _, english, german in LINES]
    days = [one.text for one in root.iter() if re.search(r"(StartDate|EndDate|DateTimeString)$", one.tag)]
    assert not [day for day in days if day and day.replace("-", "").startswith("202512")]


def test_what_people_read_of_a_correction_has_no_day_of_utc(corrected: dict[str, Any]) -> None:
    pdf = pypdfium2.PdfDocument(invoice_pdf(corrected, parties(zones=("Asia/Tokyo",)), SOLD))
    text = "".join(page.get_textpage().get_text_bounded() for page in pdf)
    assert "2025" not in text
    assert "Jan 1 \N{EN DASH} 31, 2026" in text.replace("\N{THIN SPACE}", " ")
    explained = ExplainedInvoice(corrected, SOLD, ("Asia/Tokyo",))
    assert [explained.name(one) for one in corrected["lines"]] == [english for _, english, _ in LINES]
    assert explained.days(corrected["lines"][7]["service_period"]) == "2026-01-01 to 2026-01-31"


def test_an_electronic_invoice_describes_what_was_sold_and_how_much() -> None:
    xml = invoice_xml(document(), *parties(locale="de").for_xml(), CATALOG).decode()
    quantity = "Menge: 22.361,87 \N{MULTIPLICATION SIGN} 1.000 Token"
    assert f"Description>Input and output; {quantity}<" in xml
    assert "AllowanceChargeReason>Launch offer<" in xml
    assert "Verarbeitete Token (model: large)" in xml
    assert "quantity" not in invoice_xml(document(lines=[line()]), *parties().for_xml()).decode()


def test_a_charge_that_got_a_name_or_lost_it_is_shown_by_the_name_of_the_catalog() -> None:
    lines = [line(key="calls", kind="usage", description=text) for text in ("calls", "API calls", "Other name")]
    assert [one["title"] for one in shown(catalog=SOLD, lines=lines)["lines"]] == [
        "API calls", "API calls", "Other name",
    ]  # fmt: skip


def test_a_correction_whose_text_is_nobody_s_is_named_by_its_fields() -> None:
    odd = [line(key="calls", kind="adjustment", description="calls", meter="calls")]
    assert shown(catalog=SOLD, lines=odd)["lines"][0]["title"] == f"Correction of API calls: {LATE}"
