"""Exceptions of the Python client: one for each kind of problem that the document lists."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_ROW = re.compile(r"^\| `(urn:[^`]+)` \| \d+ \| (.+?) \| (.+?) \|$", re.MULTILINE)
_HEAD = '''"""Kinds of problems; generated, see docs/clients.md."""

from __future__ import annotations

from valueverse_client.problems import ProblemError
'''


def problems_module(document: Mapping[str, Any]) -> str:
    """Source of ``problems.py``: a class for each ``type``, and which it is of."""
    listed = _ROW.findall(document["components"]["schemas"]["Problem"]["description"])
    names = {kind: _class_name(kind.rpartition(":")[2]) for kind, _, _ in listed}
    classes = "".join(
        f'\n\nclass {names[kind]}(ProblemError):\n    """{title}. {cure}"""\n' for kind, title, cure in listed
    )
    by_type = "".join(f'    "{kind}": {name},\n' for kind, name in names.items())
    return f"{_HEAD}{classes}\n\nBY_TYPE: dict[str, type[ProblemError]] = {{\n{by_type}}}\n"


def _class_name(kind: str) -> str:
    words = [word.capitalize() for word in kind.split("-") if word != "error"]
    return "".join(words) + "Error"
