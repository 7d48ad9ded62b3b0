"""Steps of a long command, as they end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True, slots=True)
class Timing:
    """One step: what it is called, what it did, and the seconds that it took."""

    step: str
    what: str
    seconds: float


def print_step(console: Console, timing: Timing) -> None:
    """A line for a step that succeeded."""
    from rich.markup import escape

    console.print(
        f"[green]✓[/green] {escape(timing.step):<10} {timing.seconds:5.1f} s  [dim]{escape(timing.what)}[/dim]",
        soft_wrap=True,
    )
