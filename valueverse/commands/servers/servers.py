"""``valueverse up | down | logs``: the servers of this installation."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

import valueverse
from valueverse.commands.output import AsJson, console, show_json
from valueverse.errors import RefusalError

_Only = Annotated[
    str | None,
    typer.Option("--only", help="Only these, comma-separated: postgres, valkey, dagster, dagster-daemon, metrics, ..."),
]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command("up", help=_UP)(_up)
    app.command("down", help=_DOWN)(_down)
    app.command("logs", help=_LOGS)(_logs)


_UP = """Start PostgreSQL, Valkey, Dagster, the metrics and the API, and wait until each answers. What runs is left
alone.

[dim]valueverse up --only valkey[/dim]

[dim]valueverse up --split[/dim]

--split: the API as four servers, for billing (api), architect, committer and executor; `valueverse down` ends this.

A taken port: the next free one is used, unless you chose it by VALUEVERSE_POSTGRES_PORT, VALUEVERSE_DAGSTER_PORT,
VALUEVERSE_METRICS_PORT, VALUEVERSE_API_PORT, VALUEVERSE_ARCHITECT_PORT, VALUEVERSE_COMMITTER_PORT or
VALUEVERSE_EXECUTOR_PORT.

Servers of your own: VALUEVERSE_POSTGRES_URL, VALUEVERSE_REDIS_URL, VALUEVERSE_LAKE_URL."""

_DOWN = """Stop the servers that [bold]up[/bold] started.

[dim]valueverse down --only valkey[/dim]"""

_LOGS = """Show the end of the servers' logs; with --follow what is written from then on.

[dim]valueverse logs valkey -n 20[/dim]"""


def _chosen(only: str | None) -> tuple[str, ...]:
    from valueverse.platform.servers.supervisor import EVERY

    return EVERY if only is None else tuple(name.strip() for name in only.split(",") if name.strip())


def _up(
    only: _Only = None,
    split: Annotated[bool, typer.Option("--split", help="One server for each group of the API's routes.")] = False,
    as_json: AsJson = False,
) -> None:
    from valueverse.platform.servers import supervisor
    from valueverse.platform.servers.supervisor import ALREADY
    from valueverse.platform.settings import get_settings

    settings = get_settings()
    out = console(stderr=as_json, soft_wrap=True)
    with out.status("starting servers"):
        for one in supervisor.up(settings, supervisor.NAMES if only is None else _chosen(only), split=split):
            again = one.detail == ALREADY
            if as_json:
                detail = None if again else one.detail or None
                shown = {"server": one.name, "state": one.state, "where": one.where}
                show_json(shown | {"started": not again, "detail": detail})
                continue
            done = "[dim]runs already[/dim]" if again else f"[green]{one.state}[/green]"
            out.print(f"{one.name:<15} {done} {one.where}{'' if again or not one.detail else f'; {one.detail}'}")
    if not as_json:
        out.print(f"{'documentation':<15} {_documentation()}", markup=False)


def _documentation() -> str:
    """Where the site is that `make docs` builds in a checkout, or how to build it."""
    checkout = Path(valueverse.__file__).parents[1]
    page = checkout / "build" / "site" / "index.html"
    if page.exists():
        return page.as_uri()
    return f"`make docs` in {checkout} builds it" if (checkout / "Makefile").exists() else "comes with the source"


def _down(only: _Only = None, as_json: AsJson = False) -> None:
    from valueverse.platform.servers import supervisor
    from valueverse.platform.settings import get_settings

    stopped = False
    for name in supervisor.down(get_settings(), _chosen(only)):
        stopped = True
        if as_json:
            show_json({"server": name, "state": "stopped"})
        else:
            typer.echo(f"{name} stopped")
    if not stopped and not as_json:
        typer.echo("nothing was running")


def _logs(
    name: Annotated[str | None, typer.Argument(help="One server; all of them if left out.")] = None,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="Lines of each log.")] = 40,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines arrive; end with Ctrl-C.")] = False,
    as_json: AsJson = False,
) -> None:
    from valueverse.platform.servers import processes, supervisor
    from valueverse.platform.settings import get_settings

    settings = get_settings()
    if name is not None and name not in supervisor.EVERY:
        raise RefusalError("unknown_server", f"{name!r} is no server; there are {', '.join(supervisor.EVERY)}", "NAME")
    paths = [settings.logs / f"{one}.log" for one in ([name] if name else supervisor.EVERY)]
    paths = [path for path in paths if path.exists()]
    if not paths:
        raise RefusalError(
            "no_log", f"no log in {settings.logs} yet: start servers with `valueverse up`", str(settings.logs)
        )
    for path in paths:
        found = processes.tail(path, lines)
        if as_json:
            _show_lines(path, found)
            continue
        if len(paths) > 1:
            typer.secho(f"==> {path} <==", bold=True)
        typer.echo("\n".join(found))
    if follow:
        _follow(paths, as_json=as_json)


def _show_lines(path: Path, lines: list[str]) -> None:
    for line in lines:
        show_json({"server": path.stem, "line": line})


def _follow(paths: list[Path], *, as_json: bool) -> None:
    places = {path: path.stat().st_size for path in paths}
    try:
        while True:
            for path, place in places.items():
                start = place if path.stat().st_size >= place else 0
                with path.open("rb") as file:
                    file.seek(start)
                    found = file.read()
                if as_json:
                    # Whole lines; the beginning of one is read again with its end.
                    found = found[: found.rfind(b"\n") + 1]
                    _show_lines(path, found.decode("utf-8", "replace").splitlines())
                else:
                    typer.echo(found.decode("utf-8", "replace"), nl=False)
                places[path] = start + len(found)
            time.sleep(0.5)
    except KeyboardInterrupt:
        return
