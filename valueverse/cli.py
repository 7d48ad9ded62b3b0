"""``valueverse``: every command, with help that teaches. Each command is in ``valueverse/commands``."""

from __future__ import annotations

import re
import sys
from importlib.metadata import version
from typing import Annotated, NoReturn

import typer

from valueverse.commands.audit import audit
from valueverse.commands.billing import (
    catalog,
    customers,
    document,
    events,
    explain,
    invoices,
    ledger,
    rerate,
    simulate,
    subscriptions,
)
from valueverse.commands.calculators import finance, invoice, meter, periods, price, prorate
from valueverse.commands.privacy import privacy
from valueverse.commands.project import init, run
from valueverse.commands.project.project_tenant import default_tenants
from valueverse.commands.servers import (
    analysts,
    demo,
    doctor,
    identity_provider,
    servers,
    sql,
    status,
    tenants,
    users,
    webhooks,
)
from valueverse.commands.value import app as value
from valueverse.errors import RefusalError
from valueverse.platform.garbage import collect_rarely

_SURROGATE = re.compile(r"[\ud800-\udfff]")
"""Stands for a byte of an argument that is no UTF-8."""

app = typer.Typer(
    name="valueverse",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"valueverse {version('valueverse')}")
        raise typer.Exit


@app.callback()
def _of_every_command(
    context: typer.Context,
    asked: Annotated[  # noqa: ARG001 - its callback answers
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Usage billing, subscriptions and value models: exact, explained, on your own data.

    Exit 0: done. Exit 1: done, and the answer needs attention. Exit 2: refused, with a sentence that names the cure.
    docs/exit-codes.md lists them by command.
    """
    context.default_map = default_tenants(context)


for command in (
    init,
    run,
    demo,
    servers,
    status,
    doctor,
    price,
    meter,
    periods,
    prorate,
    rerate,
    invoice,
    catalog,
    customers,
    subscriptions,
    events,
    invoices,
    simulate,
    explain,
    document,
    finance,
    ledger,
    value,
    audit,
    privacy,
    sql,
    tenants,
    users,
    identity_provider,
    webhooks,
    analysts,
):
    command.register(app)


def main() -> None:
    """Run a command; whatever goes wrong reaches the user as one sentence, never as a traceback."""
    collect_rarely()
    try:
        app(prog_name="valueverse")
    except RefusalError as refusal:
        _refuse(refusal)
    except BrokenPipeError:
        raise SystemExit(141) from None
    except OSError as error:
        # A full disk or a missing right may strike anywhere.
        where = f"{error.filename}: " if error.filename else ""
        sys.stderr.write(f"valueverse: {where}{error.strerror or error}; see `valueverse doctor` [system_error]\n")
        raise SystemExit(2) from None
    except Exception as error:
        # A server may end at any moment, and each library has an error of its own for that.
        from valueverse.platform.outages import outage

        gone = outage(error) or _unreadable_argument(error)
        if gone is None:
            raise
        _refuse(gone)


def _unreadable_argument(error: Exception) -> RefusalError | None:
    """What to say of an error that bytes of an argument caused. A file's name may hold any; a key may not."""
    if not isinstance(error, UnicodeEncodeError):
        return None
    broken = next((one for one in sys.argv[1:] if _SURROGATE.search(one)), None)
    return (
        None if broken is None else RefusalError("bad_text", f"the argument {broken!r} holds bytes that are no UTF-8")
    )


def _refuse(refusal: RefusalError) -> NoReturn:
    from valueverse.documents import DocumentError, Problem

    problems = refusal.problems if isinstance(refusal, DocumentError) else [refusal]
    for one in problems:
        message = one.placed_message if isinstance(one, Problem) else one.message
        where = f" (at {one.path})" if one.path else ""
        sys.stderr.write(f"valueverse: {message}{where} [{one.code}]\n")
    raise SystemExit(2) from None
