"""Events of the platform's own commands, delivered as any other: a file in the tenant's landing folder."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def event_text(event: dict[str, Any]) -> str:
    """An event as it is written: JSON on one line, the same from whichever door it comes."""
    return json.dumps(event, ensure_ascii=False)


def deliver(landing: Path, tenant: str, name: str, events: Sequence[dict[str, Any]]) -> tuple[Path, bool]:
    """Write events as NDJSON, whole or not at all; a file of that name is left as it is.

    Returns:
        The file's path, and whether it was written now.
    """
    path = landing / tenant / name
    if path.exists():
        return path, False
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".part")
    draft.write_text("".join(f"{event_text(event)}\n" for event in events), encoding="utf-8")
    draft.replace(path)
    return path, True
