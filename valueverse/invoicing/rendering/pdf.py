"""An invoice document as a PDF, typeset by Typst: the same document gives the same bytes."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import typst

from valueverse.errors import RefusalError

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}\Z")
_TEMPLATE = "invoice.typ"
MOST_LINES = 20_000


@dataclass(frozen=True)
class Brand:
    """What an invoice looks like and calls its parties: names of the tenant and the customer, and an accent colour."""

    name: str
    customer_name: str
    customer_lines: tuple[str, ...] = ()
    accent: str = "#1f4e79"


def invoice_pdf(document: dict[str, Any], brand: Brand | None = None) -> bytes:
    """Typeset a document (contracts.md, section 4). Texts are data: markup in them is shown, never interpreted.

    Raises:
        RefusalError: ``bad_document`` for what is no invoice document; ``bad_colour``; ``too_large``.
    """
    brand = brand or Brand(str(document.get("tenant", "")), str(document.get("customer", "")))
    if not _COLOUR.match(brand.accent):
        raise RefusalError("bad_colour", f"{brand.accent[:20]!r} is not a colour like #1f4e79", "accent")
    if len(document.get("lines") or ()) > MOST_LINES:
        raise RefusalError("too_large", f"an invoice of over {MOST_LINES} lines is not typeset", "lines")
    branding = {
        "name": brand.name,
        "customer_name": brand.customer_name,
        "customer_lines": list(brand.customer_lines),
        "accent": brand.accent,
    }
    try:
        issued = datetime.fromisoformat(str(document["issued_on"])).replace(tzinfo=UTC)
        template = files("valueverse.invoicing.rendering").joinpath(_TEMPLATE).read_bytes()
        pdf = typst.compile(
            template,
            format="pdf",
            ignore_system_fonts=True,
            sys_inputs={"document": _json(document), "brand": _json(branding)},
            timestamp=issued,
        )
    except (KeyError, ValueError, typst.TypstError) as error:
        raise RefusalError("bad_document", f"not an invoice document: {error}", "document") from error
    return bytes(pdf)


def _json(value: Any) -> str:
    # Control characters have no glyph, and a font cannot show a lone surrogate.
    text = json.dumps(value, ensure_ascii=False)
    return re.sub(r"\\u00[01][0-9a-f]|\\b|\\f", "\ufffd", text).encode("utf-8", "replace").decode()
