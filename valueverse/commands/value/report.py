"""``valueverse value report``: a model's results, or those of a commit, as a page for the customer."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from valueverse.commands.output import FileAsJson, check_file_answer, write_text, wrote
from valueverse.errors import RefusalError


def register(app: typer.Typer) -> None:
    """Add ``report`` to ``valueverse value``."""

    @app.command("report")
    def report(  # noqa: PLR0913, PLR0917 - options of a command
        model: Annotated[
            Path | None, typer.Argument(help="A model in YAML or JSON (- reads standard input); else --commit.")
        ] = None,
        data: Annotated[
            Path | None, typer.Option("--data", help="CSV or Parquet: metric, customer, period, value.")
        ] = None,
        scenario: Annotated[
            str | None, typer.Option("--scenario", help="Only this one; all by default, base in full.")
        ] = None,
        customer: Annotated[str | None, typer.Option("--customer", help="Only this customer's data.")] = None,
        start: Annotated[str | None, typer.Option("--start", help="First day of the first period.")] = None,
        draws: Annotated[int, typer.Option("--draws", help="Draws of uncertain inputs.")] = 16_384,
        seed: Annotated[int, typer.Option("--seed", min=0, help="Another seed draws other points.")] = 1,
        tenant: Annotated[str | None, typer.Option("--tenant", help="The tenant whose commit it is.")] = None,
        commit: Annotated[
            str | None, typer.Option("--commit", help="Report on this commit: its id, or the first 8 digits.")
        ] = None,
        month: Annotated[
            str | None, typer.Option("--month", help="Up to this month; the last measured by default.")
        ] = None,
        internal: Annotated[
            bool, typer.Option("--internal", help="The vendor's own copy: cost to serve and margin too.")
        ] = False,
        out: Annotated[Path | None, typer.Option("--out", help="Where to write; standard output by default.")] = None,
        as_json: FileAsJson = False,
    ) -> None:
        """Write results as one HTML page with charts: of a model, or of a commit.

        A commit that is not measured yet is a proposal with places to sign. The copy is the customer's, without the
        vendor's own economics and all that is computed from them, unless --internal is given.

        [dim]valueverse value library developer_time > m.yaml && valueverse value report m.yaml --out m.html[/dim]
        """
        from valueverse.platform.settings import get_settings
        from valueverse.services.instants import read_month
        from valueverse.services.value.check_model import read_text
        from valueverse.services.value.value_report import report_of_commit, report_of_model
        from valueverse.value.report import Audience

        check_file_answer(out, as_json=as_json)
        audience = Audience.VENDOR if internal else Audience.CUSTOMER
        if (model is None) == (commit is None) or (commit is None) != (tenant is None):
            raise RefusalError("bad_arguments", "give a model, or --tenant and --commit", "MODEL")
        if model is not None:
            options = {"scenarios": (scenario,) if scenario else (), "draws": draws, "seed": seed, "start": start}
            page = report_of_model(read_text(model), data, options, customer, audience)
        else:
            day = None if month is None else read_month(month, "--month")
            page = report_of_commit(get_settings(), str(tenant), str(commit), day, audience)
        _write(page, out, as_json=as_json)


def _write(page: str, out: Path | None, *, as_json: bool) -> None:
    if out is None:
        sys.stdout.write(page)
        return
    write_text(out, page)
    if as_json:
        wrote(out, as_json=True)
