"""Types of the Python client: of schemas by datamodel-code-generator, of parameters and answers by ``annotation``."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.client_code.document import REFERENCE

if TYPE_CHECKING:
    from collections.abc import Mapping

_OPTIONS = (
    "--input-file-type=openapi",
    "--openapi-scopes=schemas",
    "--output-model-type=typing.TypedDict",
    "--target-python-version=3.11",
    "--use-standard-collections",
    "--use-union-operator",
    "--use-schema-description",
    "--enum-field-as-literal=all",
    "--no-use-closed-typed-dict",
    "--disable-timestamp",
    "--formatters=builtin",
)
_PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}


def types_module(document: Mapping[str, Any]) -> str:
    """Source of ``types.py``: a ``TypedDict`` of every schema."""
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "openapi.json", Path(folder) / "types.py"
        given.write_text(json.dumps(document), encoding="utf-8")
        command = [sys.executable, "-W", "ignore", "-m", "datamodel_code_generator", *_OPTIONS]
        subprocess.run([*command, f"--input={given}", f"--output={made}"], check=True, cwd=folder, text=True)
        source = made.read_text(encoding="utf-8")
    return re.sub(r"\A(?:#.*\n)+", '"""Shapes of bodies and answers; generated, see docs/clients.md."""\n', source)


def annotation(schema: Mapping[str, Any]) -> str:
    """The Python type of a schema, with schemas of the document as attributes of ``types``."""
    if "$ref" in schema:
        return "types." + schema["$ref"].removeprefix(REFERENCE)
    if "enum" in schema:
        return f"Literal[{', '.join(json.dumps(one) for one in schema['enum'])}]"
    if either := schema.get("anyOf") or schema.get("oneOf"):
        return " | ".join(dict.fromkeys(annotation(one) for one in either))
    kind = schema.get("type")
    if isinstance(kind, list):
        return " | ".join(annotation({**schema, "type": one}) for one in kind)
    if kind == "array":
        return f"list[{annotation(schema.get('items', {}))}]"
    if kind == "object":
        return "dict[str, Any]"
    if kind == "string" and schema.get("format") in _MOMENTS:
        return f"str | {_MOMENTS[schema['format']]}"
    return _PLAIN.get(str(kind), "Any")


_MOMENTS = {"date": "date", "date-time": "datetime"}
