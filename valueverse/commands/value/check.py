"""``valueverse value check | library | schema``: author a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from valueverse.commands.output import AlwaysJson, AsJson, show_json, show_list
from valueverse.services.value.check_model import check, read_text

_FILE = typer.Argument(help="A model in YAML or JSON; - reads standard input.")


def register(app: typer.Typer) -> None:
    """Add ``check``, ``library`` and ``schema`` to ``valueverse value``."""
    for add in (_add_check, _add_library, _add_schema):
        add(app)


def _add_check(app: typer.Typer) -> None:
    @app.command("check")
    def check_command(file: Annotated[Path, _FILE], as_json: AsJson = False) -> None:
        """Check a model: list its problems with line and column, or show its tree with units.

        Exit 0: nothing is wrong. Exit 1: problems, each with file:line:column and the place in the text.

        [dim]valueverse value library support_deflection > model.yaml && valueverse value check model.yaml[/dim]
        """
        from valueverse.documents import Problem, problems_text

        text = read_text(file)
        answer = check(text)
        if as_json:
            answer.pop("tree", None)
            show_json(answer)
        elif answer["ok"]:
            typer.echo(answer["tree"])
        else:
            typer.echo(problems_text([Problem(**one) for one in answer["problems"]], text, str(file)))
        raise typer.Exit(0 if answer["ok"] else 1)


def _add_library(app: typer.Typer) -> None:
    @app.command("library")
    def library_command(
        name: Annotated[str | None, typer.Argument(help="The model to print; none: list them.")] = None,
        as_json: AsJson = False,
    ) -> None:
        """List the ready models, or print one to start from. With --json the model as a document without comments.

        [dim]valueverse value library churn_reduction > model.yaml[/dim]
        """
        from valueverse.value import library
        from valueverse.value.architect.document import canonical_tree, parse_model

        if name is not None and as_json:
            show_json(canonical_tree(parse_model(library.text(name))))
        elif name is not None:
            typer.echo(library.text(name), nl=False)
        else:
            rows = [{"name": one, "title": parse_model(library.text(one)).title} for one in library.names()]
            show_list(("name", "title"), rows, as_json=as_json)


def _add_schema(app: typer.Typer) -> None:
    @app.command("schema")
    def schema(_as_json: AlwaysJson = False) -> None:
        """Print the JSON Schema of model documents, for editors and other tools.

        [dim]valueverse value schema > model.schema.json[/dim]
        """
        from valueverse.value.architect.document import json_schema_text

        typer.echo(json_schema_text(), nl=False)
