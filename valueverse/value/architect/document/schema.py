"""The JSON Schema of model documents, for editors and other tools (docs/schemas/value_model.schema.json)."""

from __future__ import annotations

import json
from typing import Any

from valueverse.documents import json_schema_of
from valueverse.value.architect.document.model import SCHEMA, Model

_SHORT = {"Input": "value", "Given": "value", "Binding": "metric", "Variable": "expr", "Driver": "expr", "Cost": "expr",
          "Discount": "rate", "Evidence": "title"}  # fmt: skip
"""Parts that their one field may stand for."""


def json_schema() -> dict[str, Any]:
    """JSON Schema, draft 2020-12: the shape of a model; what it means is judged by ``valueverse value check``."""
    schema = json_schema_of(Model)
    definitions = schema["$defs"]
    for name, field in _SHORT.items():
        whole = definitions[name]
        definitions[name] = {"anyOf": [_short(whole["properties"][field]), whole], "title": whole["title"]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA, **schema}


def _short(field: dict[str, Any]) -> dict[str, Any]:
    """What stands for a part: its field's value, which is no null."""
    return {"allOf": [field, {"not": {"type": ["null", "object"]}}]}


def json_schema_text() -> str:
    """As it is published."""
    return json.dumps(json_schema(), indent=2, sort_keys=True) + "\n"
