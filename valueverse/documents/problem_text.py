"""Problems as people read them: each with its line of the text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from valueverse.documents.problems import Problem

_WIDEST = 100


def problems_text(problems: Sequence[Problem], text: str, name: str) -> str:
    """Each problem as ``file:line:column``, with the line it stands in and a caret below the place."""
    lines = text.splitlines()
    blocks = []
    for one in problems:
        block = [f"{name}:{one.line}:{one.column}: {one.message} [{one.code}]"]
        if one.path:
            block.append(f"  at {one.path}")
        if 0 < one.line <= len(lines):
            block.extend(_excerpt(lines[one.line - 1], one))
        blocks.append("\n".join(block))
    count = len(problems)
    return "\n".join([*blocks, f"{count} problem{'s' if count > 1 else ''}"])


def _excerpt(line: str, problem: Problem) -> list[str]:
    """The line around the place; a long one is cut at both ends."""
    start = max(0, problem.column - 1 - _WIDEST // 2)
    # A tab or any other control character would move the caret, or worse.
    shown = "".join(one if one.isprintable() else " " for one in line[start : start + _WIDEST])
    margin = f"{problem.line:>6} | "
    return [f"{margin}{shown}", f"{' ' * 6} | {' ' * (problem.column - 1 - start)}^"]
