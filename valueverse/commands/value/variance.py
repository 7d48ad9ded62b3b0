"""``valueverse value variance``: what each input adds to the difference between two cases of a commit."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from valueverse.commands.output import AsJson, console, sentence, show_json, show_table
from valueverse.services.value.value_variance import difference


def _show(report: dict[str, Any]) -> None:
    from rich.text import Text

    first, second, unit = report["from"], report["to"], report["unit"]
    span = f"periods 1 to {report['period']}" if report["to_date"] else f"period {report['period']} alone"
    title = f"{report['output']} of {report['model']} in {report['month']}, {span}: {second} against {first}"
    adds = f"adds ({unit})"
    columns = ("input", first, second, "unit", adds)
    rows: list[tuple[Any, ...]] = [
        (one["input"], f"{one['before']:,.6g}", f"{one['after']:,.6g}", one["unit"], one["share"])
        for one in report["shares"]
    ]
    total = (f"{second} - {first}", f"{report['before']}", f"{report['after']}", unit, report["difference"])
    rows.append(tuple(Text(str(cell), style="bold") for cell in total))
    console().print(sentence(title, "bold"))
    show_table(columns, rows, right=(first, second, adds))
    if report["to_date"]:
        console().print(sentence("inputs: means of the periods", "dim"))


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
        from valueverse.platform.stores.tenant_records import tenant_records
        from valueverse.services.instants import read_month

        asked = {"cases": (first, second), "output": output, "period": period}
        day = None if month is None else read_month(month, "--month")
        with tenant_records(get_settings(), tenant) as records:
            report = difference(records, commit, day, asked)
        if as_json:
            show_json(report)
            return

        _show(report)
