"""``valueverse value``: author, check and run value models. Each subcommand is in a file of its own."""

from __future__ import annotations

import typer

from valueverse.commands.value import (
    approve,
    check,
    commit,
    diff,
    explain,
    portfolio,
    proposals,
    report,
    run,
    variance,
    verify,
)

value_app = typer.Typer(no_args_is_help=True, help="Value models: author, check, run.", rich_markup_mode="rich")

for command in (
    check,
    diff,
    run,
    portfolio,
    explain,
    report,
    commit,
    approve,
    proposals,
    variance,
    verify,
):
    command.register(value_app)


def register(app: typer.Typer) -> None:
    """Add ``value`` and its subcommands to the command line."""
    app.add_typer(value_app, name="value")
