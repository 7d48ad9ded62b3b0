"""docs/events.md and docs/schemas are true, whole and of today."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from tests.reference_documents import catalog_schema, documents
from valueverse.catalog import parse_catalog
from valueverse.errors import RefusalError
from valueverse.events import judge_billing_event
from valueverse.events.billing_events import SHAPES
from valueverse.events.event_reference import ENTRIES, data_schema, events_schema

SCHEMA = jsonschema.Draft202012Validator(events_schema(catalog_schema()))


def test_the_documents_are_those_of_the_code() -> None:
    for path, text in documents().items():
        assert path.read_text(encoding="utf-8") == text, f"{path}: run make docs"


def test_every_type_and_every_field_is_described() -> None:
    assert ENTRIES.keys() == SHAPES.keys()
    for kind in SHAPES:
        for name, field in data_schema(kind)["properties"].items():
            assert field.get("description"), f"{kind}: {name}"


@pytest.mark.parametrize("kind", sorted(SHAPES))
def test_the_example_of_a_type_is_taken_by_ingestion_and_by_the_schema(kind: str) -> None:
    example = ENTRIES[kind].example
    judge_billing_event(kind, "acme", example, parse_catalog)
    event = {
        "specversion": "1.0",
        "id": "1",
        "source": "s",
        "type": kind,
        "time": "2024-01-01T00:00:00Z",
        "data": example,
    }
    assert list(SCHEMA.iter_errors(event)) == []


@pytest.mark.parametrize("kind", sorted(SHAPES))
def test_what_the_schema_requires_ingestion_requires_too(kind: str) -> None:
    for name in data_schema(kind).get("required", ()):
        lacking: dict[str, Any] = {key: one for key, one in ENTRIES[kind].example.items() if key != name}
        with pytest.raises(RefusalError, match=name):
            judge_billing_event(kind, "acme", lacking, parse_catalog)
        event = {"specversion": "1.0", "id": "1", "source": "s", "type": kind, "time": "2024-01-01T00:00:00Z"}
        assert not SCHEMA.is_valid(event | {"data": lacking})
