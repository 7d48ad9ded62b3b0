"""The OpenAPI document as the clients are generated from it: with a name for each body, and what types can say."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

METHODS = ("get", "put", "post", "patch", "delete")
_OF_THE_LAYER = frozenset(["Api-Version", "If-None-Match"])
"""Parameters that the hand-written part of a client sends, or none does."""
_FOR_READERS = ("example", "examples", "title", "pattern")
REFERENCE = "#/components/schemas/"


@cache
def document() -> dict[str, Any]:
    """What ``/openapi.json`` answers, prepared."""
    from serving_api.app import create_app
    from valueverse.platform.settings import Settings

    with tempfile.TemporaryDirectory() as home:
        published = create_app(Settings(home=Path(home))).openapi()
    prepared: dict[str, Any] = _amounts_as_text(_without_notes(published))
    schemas = prepared["components"]["schemas"]
    for item in prepared["paths"].values():
        for operation in item.values():
            operation["parameters"] = [one for one in operation["parameters"] if one["name"] not in _OF_THE_LAYER]
            operation["responses"] = _answers(operation["responses"])
            _name_body(operation, schemas)
    prepared["components"]["schemas"] = dict(sorted(schemas.items()))
    return prepared


def component_name(operation_id: str) -> str:
    """What a schema that only one operation uses is named after it: ``PostCustomers``."""
    return "".join(part.capitalize() for part in operation_id.split("_"))


def _without_notes(node: Any) -> Any:
    """Without examples, titles and patterns, which types cannot say; fields of objects may have these names."""
    if isinstance(node, list):
        return [_without_notes(one) for one in node]
    if not isinstance(node, dict):
        return node
    made = {}
    for name, value in node.items():
        if name == "properties":
            made[name] = {field: _without_notes(schema) for field, schema in value.items()}
        elif name not in _FOR_READERS:
            made[name] = _without_notes(value)
    return made


def _amounts_as_text(node: Any) -> Any:
    """A value that may be a number or text is text in a client: a binary float never carries an amount."""
    if isinstance(node, list):
        return [_amounts_as_text(one) for one in node]
    if not isinstance(node, dict):
        return node
    made = {name: _amounts_as_text(value) for name, value in node.items()}
    either = made.get("anyOf", [])
    if any(one.get("type") == "string" for one in either):
        made["anyOf"] = [one for one in either if one.get("type") != "number"]
    return made


def _answers(responses: dict[str, Any]) -> dict[str, Any]:
    """Those of success; every other one is a problem."""
    problem = {"application/problem+json": {"schema": {"$ref": f"{REFERENCE}Problem"}}}
    successes = {status: one for status, one in responses.items() if status.startswith("2")}
    for one in successes.values():
        one.pop("headers", None)
    return successes | {"default": {"description": "A problem", "content": problem}}


def _name_body(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Give an object that is described where it is used a name of its own."""
    content = operation.get("requestBody", {}).get("content", {})
    for kind in content.values():
        if "properties" in kind["schema"]:
            name = f"{component_name(operation['operationId'])}Body"
            schemas[name] = kind["schema"]
            kind["schema"] = {"$ref": REFERENCE + name}
