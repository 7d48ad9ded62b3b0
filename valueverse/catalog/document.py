"""Catalog documents, ``schema: valueverse.catalog/v1``: read, judged and hashed (contracts.md, section 3)."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Any

import rfc8785

from valueverse.catalog.checks import reference_problems
from valueverse.catalog.model import Catalog
from valueverse.catalog.sections import sections_of, sections_of_tree
from valueverse.documents import Format, exact_number, read_document, validated
from valueverse.money import plain

SCHEMA = "valueverse.catalog/v1"
CATALOG = Format(
    name="catalog",
    keys="schema, meters, plans",
    code="bad_catalog",
    number=exact_number,
    characters=4 * 1024 * 1024,
    depth=32,
    entries=10_000,
    total=1_000_000,
)
"""How a catalog is read; ``entries`` is also the longest list of tiers, cells or charges."""


def parse_catalog(document: str | bytes | dict[str, Any]) -> Catalog:
    """Read and judge a catalog: YAML or JSON text, or the object itself (numbers as str, int or Decimal).

    Raises:
        DocumentError: ``bad_catalog``, ``out_of_range`` or ``too_long``: everything that is wrong, each with its path,
            its line and column (where it came as text) and how to fix it.
    """
    source = read_document(document, CATALOG)
    catalog = validated(Catalog, source, {}, CATALOG.code)
    sections = sections_of_tree(source.tree) if catalog is None else sections_of(catalog)
    reference_problems(sections, source.problems)
    source.problems.refuse()
    if catalog is None:
        raise AssertionError("a catalog is refused with a problem")
    return catalog


def _json(value: Any) -> Any:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, dict):
        return {key: _json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    return value


def catalog_document(catalog: Catalog) -> dict[str, Any]:
    """The catalog as JSON values, as it was written: numbers as plain strings, defaults left out."""
    written: dict[str, Any] = _json(catalog.model_dump(by_alias=True, exclude_unset=True))
    return written


def catalog_hash(catalog: Catalog) -> str:
    """Hex SHA-256 of the canonical (RFC 8785) document; 0.5, 0.50 and "0.5" are the same number."""
    return hashlib.sha256(rfc8785.dumps(catalog_document(catalog))).hexdigest()


__all__ = ["CATALOG", "SCHEMA", "Catalog", "catalog_document", "catalog_hash", "parse_catalog"]
