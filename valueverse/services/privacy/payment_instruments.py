"""Payment instruments: a token stands for the number of a card or account, which is sealed."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Any

from valueverse.errors import RefusalError
from valueverse.events import card_numbers, ibans
from valueverse.platform.lake import Lake
from valueverse.platform.protection import Cell, DataKeys, wrapping_of
from valueverse.platform.stores import instrument_store as store
from valueverse.platform.stores import privacy_store
from valueverse.platform.warehouse import connect
from valueverse.services.privacy.erase_subject import recorded
from valueverse.services.privacy.subject import customer_events

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings


def add_instrument(settings: Settings, tenant: str, customer: str, number: str) -> str:
    """Seal the number of a card or account by the customer's data key; the token that stands for it.

    The token is random: the same number gets another one each time, and nothing of the number is in it.

    Raises:
        RefusalError: ``unknown_customer``; ``bad_number``, which does not repeat it; ``key_server_unreachable``,
            ``key_server_refused``.
    """
    digits = re.sub(r"[\s-]", "", number).upper()
    kind = "card" if card_numbers(digits) == [digits] else "iban" if ibans(digits) == [digits] else None
    if kind is None:
        raise RefusalError("bad_number", "this is neither a card number nor an IBAN: a digit is mistyped or missing")
    token = f"tok_{secrets.token_urlsafe(24)}"
    with connect(settings, "builder") as connection:
        known = privacy_store.is_known(connection, tenant, customer)
        if not known and customer_events(Lake(settings.lake_url), tenant, customer).is_empty():
            raise RefusalError("unknown_customer", f"tenant {tenant!r} has no customer {customer!r}", "--customer")
        keys = DataKeys(connection, wrapping_of(settings))
        (sealed,) = keys.seal([(instrument_cell(tenant, customer, token), digits.encode())])
        about = {"tenant": tenant, "token": token, "customer": customer, "kind": kind, "last_four": digits[-4:]}
        store.add(connection, about | {"sealed": sealed})
        recorded(connection, tenant, "instrument_added", customer, {"token": token, "kind": kind})
    return token


def listed_instruments(settings: Settings, tenant: str, customer: str | None) -> list[dict[str, Any]]:
    """token, customer, kind, last_four, created_at of instruments, by customer; None: of all customers."""
    with connect(settings, "builder") as connection:
        return store.instruments(connection, tenant, customer)


def reveal_instrument(settings: Settings, tenant: str, token: str, reason: str) -> str:
    """The number that a token stands for; the audit log has who it was of, and why.

    Raises:
        RefusalError: ``unknown_token``, ``no_reason``; ``sealed_value_damaged``, ``data_key_unreadable``,
            ``key_server_unreachable``, ``key_server_refused``.
    """
    if not reason.strip():
        raise RefusalError("no_reason", "say why, such as the payment that it is for", "--reason")
    with connect(settings, "builder") as connection:
        found = store.sealed(connection, tenant, token)
        if found is None:
            raise _unknown(tenant)
        cell = instrument_cell(tenant, found["customer"], token)
        (number,) = DataKeys(connection, wrapping_of(settings)).open([(cell, bytes(found["sealed"]))])
        if number is None:
            raise _unknown(tenant)
        recorded(
            connection, tenant, "instrument_revealed", found["customer"], {"token": token, "reason": reason.strip()}
        )
    return number.decode()


def remove_instrument(settings: Settings, tenant: str, token: str) -> None:
    """Remove an instrument.

    Raises:
        RefusalError: ``unknown_token``.
    """
    with connect(settings, "builder") as connection:
        customer = store.remove(connection, tenant, token)
        if customer is None:
            raise _unknown(tenant)
        recorded(connection, tenant, "instrument_removed", customer, {"token": token})


def instrument_cell(tenant: str, customer: str, token: str) -> Cell:
    """Where the number is sealed."""
    return Cell(tenant, customer, "vault.instrument", "sealed", (token,))


def _unknown(tenant: str) -> RefusalError:
    return RefusalError("unknown_token", f"tenant {tenant!r} has no payment instrument with this token", "TOKEN")
