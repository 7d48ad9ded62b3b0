"""The invoice document (contracts.md, section 4), its content hash and the tenant's chain.

``content_hash`` is SHA-256 of the canonical (RFC 8785) document without number, status, content_hash and
previous_hash, so that a recomputation elsewhere (``valueverse simulate --known-at T``) arrives at the same hash. The
chain covers content_hash and number: chain_hash = SHA-256 of the canonical {content_hash, number, previous_hash}.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

import orjson
import rfc8785

from valueverse.schemas.invoicing import INVOICE

if TYPE_CHECKING:
    from collections.abc import Mapping

_FAST = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER
_FRACTION = re.compile(rb"[:,\[]-?[0-9]+[.eE]")
_BEYOND_BMP = re.compile(rb"[\xf0-\xf4]")
NOT_HASHED = ("number", "status", "content_hash", "previous_hash")


def canonical(document: Any) -> bytes:
    """RFC 8785 bytes of a document of texts, integers, booleans, nulls, lists and objects.

    Most are written by orjson, which is some twenty times as fast; what the two may write in different ways is left to
    ``rfc8785``.

    Raises:
        rfc8785.CanonicalizationError: for what has no canonical form, such as integers beyond 53 bits.
    """
    try:
        written = orjson.dumps(document, option=_FAST)
    except orjson.JSONEncodeError:
        return bytes(rfc8785.dumps(document))
    return written if _is_canonical(written) else bytes(rfc8785.dumps(document))


def _is_canonical(written: bytes) -> bool:
    """Whether orjson and RFC 8785 write this alike. They differ in fractions and exponents, and in keys beyond U+FFFF,
    which orjson sorts by code point instead of by UTF-16 unit. Texts that merely look so count as different.

    Two patterns, each of which begins with one set of bytes: a search skips to those, with alternatives it cannot.
    """
    if written[:1] not in b"{[" or _FRACTION.search(written):
        return False
    return written.isascii() or not _BEYOND_BMP.search(written)


def content_hash(document: dict[str, Any]) -> str:
    """Hex SHA-256 of what the invoice says, whoever numbers it and whenever."""
    hashed = {key: value for key, value in document.items() if key not in NOT_HASHED}
    return hashlib.sha256(canonical(hashed)).hexdigest()


def invoice_number(tenant: str, sequence: int) -> str:
    """The tenant's ``sequence``-th invoice, 1-based; the tenant stands in it so that no two tenants share a number."""
    return f"{tenant}-{sequence:06d}"


def invoice_id(row: Mapping[str, Any]) -> str:
    """An id that a recomputation of the same invoice arrives at too; a row has the INVOICE columns.

    Where an invoice was voided, the one that takes its place is another.
    """
    names = INVOICE if row["revision"] else INVOICE[:-1]
    return str(uuid5(NAMESPACE_URL, "/".join(str(row[name]) for name in names)))


@dataclass(frozen=True)
class Finalised:
    """A finalised invoice: the served bytes and its place in the tenant's chain."""

    number: str
    document: str
    content_hash: str
    previous_hash: str | None
    chain_hash: str


def chain_hash(content: str, number: str, previous: str | None) -> str:
    """The link after ``previous`` for the invoice with this number and content."""
    link = {"content_hash": content, "number": number, "previous_hash": previous}
    return hashlib.sha256(canonical(link)).hexdigest()


def finalise(draft: dict[str, Any], number: str, previous: str | None) -> Finalised:
    """Number a draft and chain it behind ``previous`` (the chain hash of the tenant's last invoice; None: the
    first)."""
    content = content_hash(draft)
    document = draft | {
        "number": number,
        "status": "finalised",
        "content_hash": content,
        "previous_hash": previous,
    }
    return Finalised(number, canonical(document).decode(), content, previous, chain_hash(content, number, previous))
