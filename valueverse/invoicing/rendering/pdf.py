"""An invoice document as a PDF, typeset by Typst: the same document gives the same bytes.

It is PDF/A-3 with the electronic invoice (CII) inside where there is one, for people and for their systems: Factur-X,
which is ZUGFeRD in Germany.
"""

from __future__ import annotations

import json
import re
import warnings
from datetime import UTC, datetime
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal

import typst

from valueverse.errors import RefusalError
from valueverse.invoicing.rendering.electronic import invoice_xml
from valueverse.invoicing.rendering.electronic.factur_x import FACTUR_X_FILE, as_factur_x
from valueverse.invoicing.rendering.fonts import MissingGlyphs, fallbacks, fonts_of
from valueverse.invoicing.rendering.parties import Parties
from valueverse.invoicing.rendering.presentation import presentation

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from valueverse.invoicing.rendering.history import InvoiceHistory

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}\Z")
_TEMPLATE = "invoice.typ"
_SLIP = "swiss_slip.typ"
_LACKING = re.compile(r'the text `(".+")` could not be displayed', re.DOTALL)
MOST_LINES = 20_000


def invoice_pdf(
    document: dict[str, Any],
    parties: Parties | None = None,
    catalog: Mapping[str, Any] | None = None,
    history: InvoiceHistory | None = None,
    fonts: Path | None = None,
) -> bytes:
    """Typeset a document (contracts.md, section 4). Texts are data: markup in them is shown, never interpreted.

    Warns with ``MissingGlyphs`` of the first text that no font can show.

    Args:
        document: the invoice.
        parties: seller and buyer; None: they go by their keys.
        catalog: the document of the catalog that it was billed by; None: fees, charges and meters go by what the
            invoice calls them.
        history: what became of it since; None: nothing is known.
        fonts: a folder with further fonts.

    Raises:
        RefusalError: ``bad_document`` for what is no invoice document; ``bad_colour``; ``too_large``; ``bad_setting``
            where ``fonts`` is no folder.
    """
    parties = parties or Parties(str(document.get("tenant", "")), str(document.get("customer", "")))
    accent = parties.invoicing.get("accent")
    if accent is not None and not _COLOUR.match(str(accent)):
        raise RefusalError("bad_colour", f"{str(accent)[:20]!r} is not a colour like #1f4e79", "accent")
    if len(document.get("lines") or ()) > MOST_LINES:
        raise RefusalError("too_large", f"an invoice of over {MOST_LINES} lines is not typeset", "lines")
    available = fonts_of(fonts)
    try:
        issued = datetime.fromisoformat(str(document["issued_on"])).replace(tzinfo=UTC)
        shown = presentation(document, parties, catalog, history)
        shown["fonts"] = fallbacks(parties.buyer_country, parties.seller_country)
        inputs = {
            "invoice": _json(shown),
            "xml": _attached(document, parties, catalog, history),
            "xml_name": FACTUR_X_FILE,
        }
        template = "".join(_text(name) for name in (_TEMPLATE, *([_SLIP] if shown["payment"]["slip"] else [])))
        pdf = _archivable(template, inputs, issued, available)
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError, typst.TypstError) as error:
        raise RefusalError("bad_document", f"not an invoice document: {error}", "document") from error
    return pdf


def _attached(
    document: dict[str, Any],
    parties: Parties,
    catalog: Mapping[str, Any] | None,
    history: InvoiceHistory | None,
) -> str:
    """The electronic invoice; empty for a document that has none, such as a draft or one to an unknown country, for a
    voided one, which no system is to pay, and for what is in no chain."""
    if document["content_hash"] is None:
        return ""
    try:
        return invoice_xml(document, *parties.for_xml(history), catalog, syntax="cii").decode()
    except RefusalError:
        return ""


def _text(name: str) -> str:
    return files("valueverse.invoicing.rendering").joinpath(name).read_text(encoding="utf-8")


def _archivable(template: str, inputs: dict[str, str], issued: datetime, fonts: typst.Fonts) -> bytes:
    """PDF/A-3b. A text in a script that the fonts lack has no place in one: such an invoice is a plain PDF."""
    try:
        pdf = _set(template, inputs, issued, fonts, "a-3b")
    except typst.TypstError as error:
        if "PDF/A" not in str(error):
            raise
        found = _LACKING.search(str(error))
        text = found[1] if found else str(error)
        message = f"no font can show {text}: boxes stand for it, and the PDF is no PDF/A; see the setting fonts"
        warnings.warn(message, MissingGlyphs, stacklevel=3)
        return _set(template, inputs, issued, fonts, None)
    return as_factur_x(pdf) if inputs["xml"] else pdf


def _set(
    template: str, inputs: dict[str, str], issued: datetime, fonts: typst.Fonts, standard: Literal["a-3b"] | None
) -> bytes:
    pdf = typst.compile(
        template.encode(),
        font_paths=fonts,
        format="pdf",
        ignore_system_fonts=True,
        sys_inputs=inputs,
        pdf_standards=standard,
        timestamp=issued,
    )
    return bytes(pdf)


def _json(value: Any) -> str:
    # Control characters have no glyph, and a font cannot show a lone surrogate.
    text = json.dumps(value, ensure_ascii=False)
    return re.sub(r"\\u00[01][0-9a-f]|\\b|\\f", "\ufffd", text).encode("utf-8", "replace").decode()
