"""Dimensions as text: the one form by which usage, lines and prices are compared.

A JSON object without blanks, its keys in the order of RFC 8785 (by UTF-16 code units), its values texts.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def in_canonical_order(names: Iterable[str]) -> list[str]:
    """Names as the keys of a canonical JSON object follow each other."""
    return sorted(names, key=lambda name: name.encode("utf-16-be"))


def dimensions_text(values: Mapping[str, str | None]) -> str:
    """Canonical text of dimension values; a missing value (None) is null."""
    ordered = {name: values[name] for name in in_canonical_order(values)}
    return json.dumps(ordered, separators=(",", ":"), ensure_ascii=False)
