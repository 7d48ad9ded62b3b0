"""Reference pages that are made from the code: commands, routes, marts and JSON Schemas."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from fastapi import FastAPI

_EXAMPLE = re.compile(r"\[dim\](.*?)\[/dim\]", re.DOTALL)
_BOLD = re.compile(r"\[bold\](.*?)\[/bold\]", re.DOTALL)
_REF = "#/components/schemas/"


def commands() -> str:
    """Every command with its options, from the command line itself; examples are code."""
    import typer
    from typer.cli import get_docs_for_click

    from valueverse.cli import app

    command = typer.main.get_command(app)
    _summarise(command)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command), name="valueverse", title="Commands")
    text = _EXAMPLE.sub(lambda found: f"```sh\n{found[1].strip()}\n```", text)
    return _BOLD.sub(r"**\1**", text)


def _summarise(command: Any) -> None:
    """Give every command below its first sentence as the summary, which would be cut to fit a terminal."""
    for one in getattr(command, "commands", {}).values():
        one.short_help = re.sub(r"\[/?\w+\]", "", " ".join((one.help or "").split("\n\n")[0].split()))
        _summarise(one)


def api(app: FastAPI) -> str:
    """Every route of the API: parameters, answers, shapes, problems."""
    from serving_api.problems import KINDS, PREFIX

    described = app.openapi()
    parts = [
        "# API",
        "The OpenAPI document: [openapi.json](openapi.json). How to sign in, by example: [API](../api.md).",
        described["info"]["description"],
    ]
    by_tag: dict[str, list[str]] = {}
    for path, item in described["paths"].items():
        for method, operation in item.items():
            by_tag.setdefault(operation["tags"][0], []).append("\n\n".join(_operation(path, method, operation)))
    for tag, operations in by_tag.items():
        parts += [f"## {tag.capitalize()}", *operations]
    problems = ((f"`{PREFIX}{name}`", str(kind.status), kind.title, kind.cure) for name, kind in KINDS.items())
    parts += ["## Problems", table(("type", "status", "title", "what to do"), problems), "## Shapes"]
    for name, schema in sorted(described["components"]["schemas"].items()):
        parts += [f"### {name}", schema.get("description", ""), _properties(schema)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _operation(path: str, method: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield f"### `{method.upper()} {path}`"
    yield f"**{operation['summary']}.** {operation['description']}"
    if parameters := operation.get("parameters"):
        rows = ((f"`{one['name']}`", one["in"], one.get("description", "")) for one in parameters)
        yield table(("parameter", "in", "meaning"), rows)
    for body in _bodies(operation.get("requestBody", {})):
        yield f"Body: {_shape(body.get('schema', {}))}."
    answers = (
        (status, answer["description"], " ".join(_shape(body.get("schema", {})) for body in _bodies(answer)))
        for status, answer in sorted(operation["responses"].items())
    )
    yield table(("status", "meaning", "shape"), answers)


def _bodies(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(message.get("content", {}).values())


def _properties(schema: Mapping[str, Any]) -> str:
    required = set(schema.get("required", ()))
    rows = (
        (f"`{name}`", _shape(one), "" if name in required else "optional", one.get("description", ""))
        for name, one in schema.get("properties", {}).items()
    )
    return table(("field", "type", "", "meaning"), rows) if schema.get("properties") else f"Type: {_shape(schema)}."


def _shape(schema: Mapping[str, Any]) -> str:
    """A type in a few words, with a link where it has a name."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(_REF)
        return f"[{name}](#{name.lower()})"
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return " or ".join(_shape(one) for one in schema[key])
    if "enum" in schema and len(schema["enum"]) <= 8:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_shape(schema.get('items', {}))}"
    kind = schema.get("type", "any")
    return (
        " or ".join(kind)
        if isinstance(kind, list)
        else f"{kind}" + (f", {schema['format']}" if "format" in schema else "")
    )


def marts(manifest: Mapping[str, Any]) -> str:
    """The data dictionary of the marts: a diagram of their keys, and every column with type and meaning."""
    found = sorted(
        (node for node in manifest["nodes"].values() if node["resource_type"] == "model" and node["fqn"][1] == "marts"),
        key=lambda node: str(node["name"]),
    )
    parts: list[str] = [
        "# Marts",
        (
            "What analysts read: PostgreSQL tables in schema `marts`, each row of one tenant. The [query cookbook]"
            "(../cookbook.md) asks them questions; the [dbt documentation](dbt.md) has the models and their SQL."
        ),
        "## How they join",
        "A line goes from a mart to those that repeat its key, tenant included. `dim_tenant` goes with every mart.",
        "\n".join(["```mermaid", *_diagram(found), "```"]),
    ]
    for node in found:
        key = _key(node)
        rows = (
            (f"`{column['name']}`", column["data_type"], "key" if column["name"] in key else "", column["description"])
            for column in node["columns"].values()
        )
        parts += [f"## {node['name']}", node["description"], f"One row per {', '.join(f'`{name}`' for name in key)}."]
        parts.append(table(("column", "type", "", "meaning"), rows))
    return "\n\n".join(parts) + "\n"


def dbt_catalog(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What dbt would read from a database: the columns and types that the contract of each model enforces."""
    nodes = {
        name: {
            "unique_id": name,
            "metadata": {
                "type": "table",
                "schema": node["schema"],
                "name": node["name"],
                "comment": node["description"],
            },
            "columns": {
                column["name"]: {"index": place, "name": column["name"], "type": column["data_type"] or ""}
                for place, column in enumerate(node["columns"].values(), 1)
            },
            "stats": {},
        }
        for name, node in manifest["nodes"].items()
        if node["resource_type"] in {"model", "seed"}
    }
    return {"metadata": {}, "nodes": nodes, "sources": {}, "errors": None}


def _key(node: Mapping[str, Any]) -> list[str]:
    return next((list(one["columns"]) for one in node["constraints"] if one["type"] == "primary_key"), [])


def _diagram(nodes: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    found = {str(node["name"]): node for node in nodes}
    keys = {name: _key(node) for name, node in found.items()}
    links = [
        (parent, child)
        for parent, key in keys.items()
        for child, node in found.items()
        if len(key) > 1 and child != parent and set(key) <= set(node["columns"])
    ]
    yield "erDiagram"
    yield "    direction LR"
    for name in sorted({one for link in links for one in link}):
        yield f"    {name} {{"
        for column in keys[name]:
            kind = found[name]["columns"][column]["data_type"].partition("(")[0].replace(" ", "_")
            yield f"        {kind} {column} PK"
        yield "    }"
    for parent, child in links:
        by = ", ".join(column for column in keys[parent] if column != "tenant_id")
        yield f'    {parent} ||--o{{ {child} : "{by}"'


def schemas(documents: Mapping[str, str]) -> str:
    """Where the JSON Schemas are, and how an editor takes them.

    Args:
        documents: text of each schema by its file name.
    """
    rows = []
    for name, text in sorted(documents.items()):
        schema = json.loads(text)
        rows.append(
            (f"[{name}](../schemas/{name})", schema.get("title", ""), schema.get("description", "").split("\n\n")[0])
        )
    return "\n\n".join(["# JSON Schemas", "Written from the models that judge each document.",
                        table(("file", "of", "meaning"), rows)]) + "\n"  # fmt: skip


def table(names: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table; a cell holds one line."""
    head = list(names)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(str(text).split()).replace("|", "\\|")
