"""``valueverse privacy *-instrument``: tokens in place of numbers of cards and accounts."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from valueverse.commands.output import AsJson, for_people, show_answer, show_list
from valueverse.errors import RefusalError

_Tenant = Annotated[str, typer.Option("--tenant", help="Whose customers.")]
_Token = Annotated[str, typer.Argument(help="Such as `privacy instruments` lists them.")]

_ADD = """Store the number of a card or account, sealed, and answer the token that stands for it.

The number comes on standard input, so that neither the history of a shell nor a list of processes has it.

[dim]valueverse privacy add-instrument --tenant acme --customer c1 < number.txt[/dim]"""

_LIST = """List tokens with what may be shown of them.

[dim]valueverse privacy instruments --tenant acme[/dim]"""

_REVEAL = """Show the number that a token stands for; the audit log says so, under the customer's pseudonym.

[dim]valueverse privacy reveal-instrument tok_k3x9q2m4ab7c --tenant acme --reason "refund 17"[/dim]"""

_REMOVE = """Remove a payment instrument.

[dim]valueverse privacy remove-instrument tok_k3x9q2m4ab7c --tenant acme[/dim]"""


def register(group: typer.Typer) -> None:
    """Add the commands to ``group``."""
    group.command("add-instrument", help=_ADD)(_add)
    group.command("instruments", help=_LIST)(_list)
    group.command("reveal-instrument", help=_REVEAL)(_reveal)
    group.command("remove-instrument", help=_REMOVE)(_remove)


def _add(
    tenant: _Tenant,
    customer: Annotated[str, typer.Option("--customer", help="Whose card or account.")],
    as_json: AsJson = False,
) -> None:
    from valueverse.platform.settings import get_settings
    from valueverse.services.privacy.payment_instruments import add_instrument

    number = sys.stdin.readline(200).strip()
    if not number:
        raise RefusalError("bad_number", "write the number on standard input, in one line")
    token = add_instrument(get_settings(), tenant, customer, number)
    show_answer({"token": token}, token, as_json=as_json)


def _list(
    tenant: _Tenant,
    customer: Annotated[str | None, typer.Option("--customer", help="One customer's; all if left out.")] = None,
    as_json: AsJson = False,
) -> None:
    from valueverse.platform.settings import get_settings
    from valueverse.services.privacy.payment_instruments import listed_instruments

    rows = listed_instruments(get_settings(), tenant, customer)
    columns = ("token", "customer", "kind", "last_four")
    show_list(columns, rows, as_json=not for_people(as_json=as_json))


def _reveal(
    token: _Token,
    tenant: _Tenant,
    reason: Annotated[str, typer.Option("--reason", help="Why, such as the payment that it is for.")],
    as_json: AsJson = False,
) -> None:
    from valueverse.platform.settings import get_settings
    from valueverse.services.privacy.payment_instruments import reveal_instrument

    number = reveal_instrument(get_settings(), tenant, token, reason)
    show_answer({"token": token, "number": number}, number, as_json=as_json)


def _remove(token: _Token, tenant: _Tenant, as_json: AsJson = False) -> None:
    from valueverse.platform.settings import get_settings
    from valueverse.services.privacy.payment_instruments import remove_instrument

    remove_instrument(get_settings(), tenant, token)
    show_answer({"token": token}, f"{token} is removed", as_json=as_json)
