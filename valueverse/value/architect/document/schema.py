"""The JSON Schema of model documents, for editors and other tools (docs/schemas/value_model.schema.json)."""

from __future__ import annotations

import json
from typing import Any

from valueverse.value.architect.document.model import SCHEMA, Model

_SHORT = {"Input": ["number", "string", "array"], "Given": ["number", "string", "array"], "Binding": ["string"],
          "Variable": ["number", "string"], "Driver": ["number", "string"], "Cost": ["number", "string"],
          "Discount": ["number", "string"], "Evidence": ["string"]}  # fmt: skip
"""Parts that a scalar (or a list) may stand for."""


def json_schema() -> dict[str, Any]:
    """JSON Schema, draft 2020-12: the shape of a model; what it means is judged by ``valueverse value check``."""
    schema = Model.model_json_schema(by_alias=True)
    definitions = schema["$defs"]
    for name, types in _SHORT.items():
        whole = definitions[name]
        definitions[name] = {"anyOf": [{"type": types}, whole], "title": whole["title"]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA, **schema}


def json_schema_text() -> str:
    """As it is published."""
    return json.dumps(json_schema(), indent=2, sort_keys=True) + "\n"
