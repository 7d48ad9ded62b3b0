"""``valueverse value variance``: what each input adds to the difference between two cases of a commit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from valueverse.commands.output import AsJson, console, show_json
from valueverse.services.value.value_variance import difference

if TYPE_CHECKING:
    from rich.table import Table


def _table(report: dict[str, Any]) -> Table:
    from rich.table import Table

    first, second, unit = report["from"], report["to"], report["unit"]
    span = f"periods 1 to {report['period']}" if report["to_date"] else f"period {report['period']} alone"
    title = f"{report['output']} of {report['model']} in {report['month']}, {span}: {second} against {first}"
    table = Table(title=title, title_justify="left", title_style="bold", show_footer=True)
    if report["to_date"]:
        table.caption = "inputs: means of the periods"
    shown = {"why": f"{second} - {first}", "before": report["before"], "after": report["after"]}
    table.add_column("input", footer=shown["why"])
    table.add_column(first, footer=f"{shown['before']} {unit}", justify="right")
    table.add_column(second, footer=f"{shown['after']} {unit}", justify="right")
    table.add_column("unit")
    table.add_column(f"adds ({unit})", footer=report["difference"], justify="right")
    for one in report["shares"]:
        table.add_row(one["input"], f"{one['before']:,.6g}", f"{one['after']:,.6g}", one["unit"], one["share"])
    return table


def register(app: typer.Typer) -> None:
    """Add ``variance`` to ``valueverse value``."""

    @app.command("variance")
    def variance_command(  # noqa: PLR0917 - options of a command
        tenant: Annotated[str, typer.Option("--tenant", help="The tenant whose commit it is.")],
        commit: Annotated[str, typer.Option("--commit", help="Id of the commit, or its first 8 digits.")],
        month: Annotated[str | None, typer.Option("--month", help="Such as 2023-11 [the last one measured].")] = None,
        first: Annotated[str, typer.Option("--from", help="committed, forecast or realised.")] = "committed",
        second: Annotated[str, typer.Option("--to", help="committed, forecast or realised.")] = "realised",
        output: Annotated[
            str, typer.Option("--output", help="benefit, cost, net, a driver, a cost; a variable with --period.")
        ] = "benefit",
        period: Annotated[
            int | None, typer.Option("--period", min=1, help="This period alone [all of them, to date].")
        ] = None,
        as_json: AsJson = False,
    ) -> None:
        """Show what each input adds to the difference between two cases, by Shapley shares that add up exactly.

        [dim]valueverse value variance --tenant acme --commit 3f28c1a5 --month 2023-11[/dim]
        """
        from valueverse.platform.settings import get_settings
        from valueverse.services.instants import read_month

        asked = {"cases": (first, second), "output": output, "period": period}
        day = None if month is None else read_month(month, "--month")
        report = difference(get_settings(), tenant, commit, day, asked)
        if as_json:
            show_json(report)
            return

        console().print(_table(report))
