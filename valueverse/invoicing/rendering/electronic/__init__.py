"""Electronic invoices: EN 16931 in UBL and in CII, both written from the same business terms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

from valueverse.errors import RefusalError
from valueverse.invoicing.rendering.electronic.cii import cii_of
from valueverse.invoicing.rendering.electronic.factur_x import as_factur_x
from valueverse.invoicing.rendering.electronic.terms import Party, Settlement, invoice_terms
from valueverse.invoicing.rendering.electronic.ubl import ubl_of

if TYPE_CHECKING:
    from collections.abc import Mapping

Syntax = Literal["ubl", "cii"]
_WRITERS = {"ubl": ubl_of, "cii": cii_of}

__all__ = ["Party", "Syntax", "as_factur_x", "invoice_xml"]


def known_syntax(name: str) -> Syntax:
    """One of the syntaxes that an electronic invoice is written in.

    Raises:
        RefusalError: ``unknown_format``.
    """
    for syntax in get_args(Syntax):
        if syntax == name:
            return syntax  # type: ignore[no-any-return]  # get_args has no types
    raise RefusalError("unknown_format", f"{name[:20]!r} is neither of {', '.join(get_args(Syntax))}", "--format")


def invoice_xml(
    document: Mapping[str, Any],
    seller: Party,
    buyer: Party,
    settlement: Settlement | None = None,
    *,
    syntax: Syntax = "ubl",
) -> bytes:
    """A document (contracts.md, section 4) as EN 16931 XML.

    Raises:
        RefusalError: what ``invoice_terms`` refuses.
    """
    return _WRITERS[syntax](invoice_terms(document, seller, buyer, settlement))
