"""Tokens of payment providers: what a customer is charged by, and never a number."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from valueverse.errors import RefusalError
from valueverse.events import card_numbers, ibans
from valueverse.services.privacy.erase_subject import evidence_text

if TYPE_CHECKING:
    from collections.abc import Mapping

CURE = (
    "this is the number of a card or an account, of which nothing was stored: send the token that your payment "
    "provider made of it"
)


def new_instrument() -> str:
    """The name of a new instrument."""
    return f"pi_{secrets.token_hex(12)}"


def refuse_numbers(stated: Mapping[str, str | None]) -> None:
    """Refuse what holds the number of a card or account, without repeating it.

    Raises:
        RefusalError: ``payment_instrument``, with the name of the text.
    """
    for name, text in stated.items():
        # Also with the separators that people write into it.
        plain = "".join(letter for letter in text or "" if letter.isalnum()).upper()
        if text and (card_numbers(text) or ibans(text) or card_numbers(plain) or ibans(plain)):
            raise RefusalError("payment_instrument", CURE, name)


def instrument_evidence(instrument: str, kind: str | None = None) -> str:
    """What is recorded of adding an instrument, or of removing it."""
    return evidence_text({"instrument": instrument} | ({} if kind is None else {"kind": kind}))
