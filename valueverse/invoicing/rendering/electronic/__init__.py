"""Electronic invoices: EN 16931 in UBL and in CII, both written from the same business terms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from valueverse.errors import RefusalError
from valueverse.invoicing.rendering.electronic.cii import cii_of
from valueverse.invoicing.rendering.electronic.factur_x import as_factur_x
from valueverse.invoicing.rendering.electronic.terms import InvoiceTerms, Party, Settlement, invoice_terms
from valueverse.invoicing.rendering.electronic.ubl import ubl_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Syntax = Literal["ubl", "cii"]
_WRITERS: dict[Syntax, Callable[[InvoiceTerms], bytes]] = {"ubl": ubl_of, "cii": cii_of}

__all__ = ["Party", "Syntax", "as_factur_x", "invoice_xml"]


def known_syntax(name: str) -> Syntax:
    """One of the syntaxes that an electronic invoice is written in.

    Raises:
        RefusalError: ``unknown_format``.
    """
    for syntax in _WRITERS:
        if syntax == name:
            return syntax
    raise RefusalError("unknown_format", f"{name[:20]!r} is neither of {', '.join(_WRITERS)}", "--format")


def invoice_xml(
    document: Mapping[str, Any],
    seller: Party,
    buyer: Party,
    settlement: Settlement | None = None,
    catalog: Mapping[str, Any] | None = None,
    *,
    syntax: Syntax = "ubl",
) -> bytes:
    """A document (contracts.md, section 4) as EN 16931 XML; ``catalog``: the one that it was billed by, for names.

    Raises:
        RefusalError: what ``invoice_terms`` refuses.
    """
    return _WRITERS[syntax](invoice_terms(document, seller, buyer, settlement, catalog))
