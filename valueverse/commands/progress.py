"""Steps of a long command, as they end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape

if TYPE_CHECKING:
    from rich.console import Console


def print_step(console: Console, name: str, seconds: float, what: str) -> None:
    """A line for a step that succeeded."""
    console.print(f"[green]✓[/green] {escape(name):<12} {seconds:6.1f} s  [dim]{escape(what)}[/dim]")
