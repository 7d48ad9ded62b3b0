"""``valueverse value``: author, check and run value models. Each subcommand stands in a file of its own."""

from __future__ import annotations

import typer

from valueverse.commands import (
    value_approve,
    value_check,
    value_commit,
    value_diff,
    value_explain,
    value_portfolio,
    value_proposals,
    value_report,
    value_run,
    value_variance,
    value_verify,
)

value_app = typer.Typer(no_args_is_help=True, help="Value models: author, check, run.", rich_markup_mode="rich")

for command in (
    value_check,
    value_diff,
    value_run,
    value_portfolio,
    value_explain,
    value_report,
    value_commit,
    value_approve,
    value_proposals,
    value_variance,
    value_verify,
):
    command.register(value_app)


def register(app: typer.Typer) -> None:
    """Add ``value`` and its subcommands to the command line."""
    app.add_typer(value_app, name="value")
