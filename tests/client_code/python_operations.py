"""Methods of the Python client, one for each operation: sync, and the same to be awaited."""

from __future__ import annotations

import keyword
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tests.client_code.document import METHODS, REFERENCE
from tests.client_code.python_types import annotation

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

OF_THE_SESSION = frozenset(["/v1/sessions", "/v1/sessions/refresh"])
"""Routes that the client asks by itself."""
_JSON = "application/json"
_STREAM = "text/event-stream"
_KEY = "Idempotency-Key"
_HEAD = '''"""Operations of the API; generated, see docs/clients.md."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import {iterator}
from datetime import date, datetime
from typing import Any, Literal

from valueverse_client._generated import types


class {name}(ABC):
    """A method for each operation: its HTTP method and path, as the API's documentation names them."""

    @abstractmethod
    {begin} _ask(self, *parts: Any, **more: Any) -> Any:
        """The answer to a request, its body read."""

    @abstractmethod
    def _iterate(self, call: Any, **query: Any) -> Any:
        """The rows of all pages of a list."""
'''


@dataclass(frozen=True)
class Parameter:
    """A parameter of an operation, as a parameter of its method."""

    name: str
    place: str
    required: bool
    kind: str

    @property
    def variable(self) -> str:
        """Its name in Python."""
        name = re.sub(r"\W", "_", self.name.lower())
        return f"{name}_" if keyword.iskeyword(name) else name

    @property
    def declared(self) -> str:
        """As a parameter of a function."""
        if self.required:
            return f"{self.variable}: {self.kind}"
        optional = self.kind if "None" in self.kind.split(" | ") else f"{self.kind} | None"
        return f"{self.variable}: {optional} = None"


@dataclass(frozen=True)
class Operation:
    """An operation of the document."""

    method: str
    path: str
    description: Mapping[str, Any]
    schemas: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Of its method."""
        return str(self.description["operationId"])

    @cached_property
    def parameters(self) -> list[Parameter]:
        """In the order of the document; those of the path first."""
        listed = [
            Parameter(one["name"], one["in"], bool(one.get("required")), annotation(one["schema"]))
            for one in self.description["parameters"]
        ]
        return sorted(listed, key=lambda one: (one.place != "path", not one.required))

    @cached_property
    def answers(self) -> dict[str, Any]:
        """The schema of what it is answered with, by media type; empty for nothing."""
        found: dict[str, Any] = {}
        for status, response in self.description["responses"].items():
            if status != "default":
                found |= {kind: one.get("schema", {}) for kind, one in response.get("content", {}).items()}
        return found

    @property
    def body(self) -> tuple[str, bool] | None:
        """Type of the body, and whether there has to be one; None for none."""
        described = self.description.get("requestBody")
        if described is None:
            return None
        kinds = described["content"]
        named = [annotation(kinds[_JSON]["schema"])] if _JSON in kinds else []
        if any(kind.endswith("yaml") for kind in kinds):
            named.append("str")
        return " | ".join("dict[str, Any]" if one == "Any" else one for one in named), bool(described.get("required"))

    @property
    def rows(self) -> str | None:
        """Type of the rows of a page; None where it is no page, or the only one."""
        if all(one.name != "cursor" for one in self.parameters):
            return None
        name = self.answers.get(_JSON, {}).get("$ref", "").removeprefix(REFERENCE)
        fields = self.schemas.get(name, {}).get("properties", {})
        return annotation(fields["data"]["items"]) if {"data", "next_cursor"} <= set(fields) else None

    def methods(self, asynchronous: bool) -> Iterator[str]:
        """Sources of its methods."""
        files = [kind for kind in self.answers if kind not in {_JSON, _STREAM}]
        if _JSON in self.answers or not self.answers:
            left = [one for one in self.parameters if not (files and one.name == "format")]
            yield self._method(self.name, left, annotation(self.answers.get(_JSON, {"type": "null"})), asynchronous)
        if files:
            name = f"{self.name}_file" if _JSON in self.answers else self.name
            yield self._method(name, self.parameters, "bytes", asynchronous)
        if self.rows is not None:
            yield self._iterator(self.rows, asynchronous)

    def _signature(self, parameters: list[Parameter]) -> str:
        path = [one.declared for one in parameters if one.place == "path"]
        rest = [one.declared for one in parameters if one.place != "path"]
        if self.body is not None:
            kind, required = self.body
            path.append(f"body: {kind}" if required else f"body: {kind} | None = None")
        return ", ".join(["self", *path, *(["*", *rest] if rest else [])])

    def _method(self, name: str, parameters: list[Parameter], answer: str, asynchronous: bool) -> str:
        def given(place: str) -> str:
            named = (f'"{one.name}": {one.variable}' for one in parameters if one.place == place)
            return f"{{{', '.join(named)}}}"

        parts = [f'"{self.method.upper()}"', f'"{self.path}"', given("path")]
        parts += [f"{place}={given(word)}" for place, word in _PLACES if given(word) != "{}"]
        parts += ["body=body"] if self.body is not None else []
        begin, wait = ("async def", "await ") if asynchronous else ("def", "")
        returned = "" if answer == "None" else "return "
        return (
            f"    {begin} {name}({self._signature(parameters)}) -> {answer}:\n{self._summary('')}"
            f"        {returned}{wait}self._ask({', '.join(parts)})\n"
        )

    def _iterator(self, rows: str, asynchronous: bool) -> str:
        parameters = [one for one in self.parameters if one.name != "cursor"]
        path = ", ".join(one.variable for one in parameters if one.place == "path")
        query = "".join(f", {one.variable}={one.variable}" for one in parameters if one.place == "query")
        call = f"self.{self.name}" if not path else f"partial(self.{self.name}, {path})"
        kind = "AsyncIterator" if asynchronous else "Iterator"
        return (
            f"    def iterate_{self.name.removeprefix('get_')}({self._signature(parameters)}) -> {kind}[{rows}]:\n"
            f"{self._summary('; every row, page by page')}        return self._iterate({call}{query})\n"
        )

    def _summary(self, more: str) -> str:
        return f'        """{self.description["summary"]}{more}."""\n'


_PLACES = (("query", "query"), ("headers", "header"))


def operations_module(document: Mapping[str, Any], *, asynchronous: bool) -> str:
    """Source of ``operations.py``, or of ``async_operations.py``."""
    schemas = document["components"]["schemas"]
    operations = [
        Operation(method, path, item[method], schemas)
        for path, item in document["paths"].items()
        if path not in OF_THE_SESSION
        for method in METHODS
        if method in item
    ]
    source = _HEAD.format(
        iterator="AsyncIterator" if asynchronous else "Iterator",
        name="AsyncOperations" if asynchronous else "Operations",
        begin="async def" if asynchronous else "def",
    )
    source += "".join(
        f"\n{method}" for one in sorted(operations, key=lambda one: one.name) for method in one.methods(asynchronous)
    )
    if "partial(" in source:
        source = source.replace("from typing import", "from functools import partial\nfrom typing import", 1)
    command = [sys.executable, "-m", "ruff", "format", "--isolated", "--line-length=120", "-"]
    return subprocess.run(command, input=source, capture_output=True, text=True, check=True).stdout
