"""The one JSON text of what a service answers: commands print it, the API sends it."""

from __future__ import annotations

import json
from typing import Any


def answer_text(value: Any) -> str:
    """One JSON document in a line; instants, dates and amounts as text."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, default=str)
