"""Checking a catalog: everything that is wrong with it, or what it sells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valueverse.catalog import catalog_document, catalog_hash, parse_catalog
from valueverse.documents import DocumentError
from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from pathlib import Path

    from valueverse.catalog import Catalog


def read_catalog_text(path: Path, where: str = "FILE") -> str:
    """A catalog's text; ``where`` is the argument that named it.

    Raises:
        RefusalError: ``unreadable_file``: there is no such file, or it is no UTF-8 text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text; save it as such"
        raise RefusalError("unreadable_file", f"{path}: {reason}", where) from error


def check_catalog(text: str) -> dict[str, Any]:
    """``{ok: true, hash, currency, ...}`` or ``{ok: false, problems: [...]}``, every problem with its place."""
    try:
        catalog = parse_catalog(text)
    except DocumentError as error:
        return {"ok": False, "problems": [one.as_json() for one in error.problems]}
    return {"ok": True, "hash": catalog_hash(catalog), **contents(catalog)}


def contents(catalog: Catalog) -> dict[str, Any]:
    """What a catalog sells, by key."""
    return {
        "currency": catalog.currency,
        "timezone": catalog.timezone,
        "meters": [meter.key for meter in catalog.meters],
        "plans": [
            {
                "key": plan.key,
                "version": plan.version,
                "fees": [fee.key for fee in plan.fees],
                "charges": [charge.key for charge in plan.charges],
            }
            for plan in catalog.plans
        ],
        "coupons": [coupon.key for coupon in catalog.coupons],
        "taxes": [tax.key for tax in catalog.taxes],
    }


def keyed(value: Any) -> Any:
    """A document's lists of named things by their names, so that two documents can be compared thing by thing.

    Plans are named by key and version, all else by key; lists of anything else stay lists.
    """
    if isinstance(value, dict):
        return {name: keyed(one) for name, one in value.items()}
    if isinstance(value, list) and value and all(isinstance(one, dict) and "key" in one for one in value):
        return {_name(one): keyed({name: part for name, part in one.items() if name != "key"}) for one in value}
    return value


def _name(one: dict[str, Any]) -> str:
    return f"{one['key']}@{one['version']}" if "version" in one else str(one["key"])


def comparable(catalog: Catalog) -> Any:
    """The catalog's document as ``keyed``."""
    return keyed(catalog_document(catalog))
