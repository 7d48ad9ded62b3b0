"""The files that are generated, and what they hold today."""

from __future__ import annotations

from pathlib import Path

from tests.client_code import typescript
from tests.client_code.document import document
from tests.client_code.python_operations import operations_module
from tests.client_code.python_problems import problems_module
from tests.client_code.python_types import types_module

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / "clients" / "python" / "src" / "valueverse_client" / "_generated"
TYPESCRIPT = ROOT / "clients" / "typescript" / "src" / "generated"

_PACKAGE = '''"""Generated from the OpenAPI document; see docs/clients.md."""

API_VERSION = "{version}"
'''


def files() -> dict[Path, str]:
    """The text of every generated file."""
    described = document()
    python = {
        "__init__.py": _PACKAGE.format(version=described["info"]["version"]),
        "types.py": types_module(described),
        "problems.py": problems_module(described),
        "operations.py": operations_module(described, asynchronous=False),
        "async_operations.py": operations_module(described, asynchronous=True),
    }
    return {PYTHON / name: text for name, text in python.items()} | {
        TYPESCRIPT / "schema.ts": typescript.schema_module(described, TYPESCRIPT.parents[1]),
        TYPESCRIPT / "operations.ts": typescript.operations_module(described),
    }


FOLDERS = (PYTHON, TYPESCRIPT)
"""Folders that hold generated files alone."""
