"""Display names in a catalog: units, descriptions and translations, all of them optional."""

from __future__ import annotations

from typing import Any

import pytest

from valueverse.catalog import catalog_document, catalog_hash, parse_catalog
from valueverse.documents import DocumentError


def catalog(**meter: Any) -> dict[str, Any]:
    """A catalog with one meter and one plan."""
    charge = {"key": "tokens", "meter": "tokens", "price": {"model": "standard", "unit": "1"}}
    return {
        "schema": "valueverse.catalog/v1",
        "meters": [{"key": "tokens", "event_type": "used", "aggregation": "count"} | meter],
        "plans": [{"key": "pro", "charges": [charge]}],
    }


def test_units_and_translations_are_a_part_of_the_document_where_they_are_stated() -> None:
    named = catalog(unit="tokens", description="All models", translations={"de": {"name": "Token", "unit": "Token"}})
    (meter,) = catalog_document(parse_catalog(named))["meters"]
    assert meter == named["meters"][0]
    assert catalog_document(parse_catalog(catalog()))["meters"] == catalog()["meters"]
    assert catalog_hash(parse_catalog(named)) != catalog_hash(parse_catalog(catalog()))


@pytest.mark.parametrize("translations", [{"it": {"name": "x"}}, {"de": {"nam": "x"}}, {"de": "x"}])
def test_a_language_that_invoices_are_not_written_in_is_refused(translations: dict[str, Any]) -> None:
    with pytest.raises(DocumentError) as refused:
        parse_catalog(catalog(translations=translations))
    assert "meters[0].translations" in str(refused.value.path)
