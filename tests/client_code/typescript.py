"""The generated part of the TypeScript client: types by openapi-typescript, and which operations take a key."""

from __future__ import annotations

import copy
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.client_code.document import METHODS
from tests.support.node import run_package

if TYPE_CHECKING:
    from collections.abc import Mapping

_JSON = "application/json"
_KEY = "Idempotency-Key"
_OPERATIONS = """/** Generated, see docs/clients.md. */

export const API_VERSION = {version};

/** Operations whose repetition is recognised by an `Idempotency-Key`. */
export const KEYED: ReadonlySet<string> = new Set([
{keyed}]);
"""


def schema_module(document: Mapping[str, Any], package: Path) -> str:
    """Source of ``schema.ts``: every path with its parameters, body and answers."""
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "openapi.json", Path(folder) / "schema.ts"
        given.write_text(json.dumps(_answered_in_json(document)), encoding="utf-8")
        run_package("openapi-typescript", given, "--default-non-nullable=false", "--output", made, folder=package)
        return made.read_text(encoding="utf-8")


def _answered_in_json(document: Mapping[str, Any]) -> dict[str, Any]:
    """Where an answer may be JSON it is of that shape; for a file of it, ``parseAs`` says so."""
    made: dict[str, Any] = copy.deepcopy(dict(document))
    for item in made["paths"].values():
        for response in (one for operation in item.values() for one in operation["responses"].values()):
            if _JSON in response.get("content", {}):
                response["content"] = {_JSON: response["content"][_JSON]}
    return made


def operations_module(document: Mapping[str, Any]) -> str:
    """Source of ``operations.ts``."""
    keyed = sorted(
        f"{method.upper()} {path}"
        for path, item in document["paths"].items()
        for method in METHODS
        if any(one["name"] == _KEY for one in item.get(method, {}).get("parameters", ()))
    )
    lines = "".join(f"  {json.dumps(one)},\n" for one in keyed)
    return _OPERATIONS.format(version=json.dumps(document["info"]["version"]), keyed=lines)
