"""What billing events say of people: which fields, and events without them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from valueverse.events.strict import load_exact_json, plain_numbers

if TYPE_CHECKING:
    from collections.abc import Iterator

PERSONAL_FIELDS = ("name", "email", "metadata")
"""Of ``billing.customer.*``: nothing that is billed depends on them."""
_SHORTEST = 3
"""Characters of a text that is looked for elsewhere: shorter ones are in any text."""


def without_personal_fields(data: str) -> str:
    """``data`` of a customer's event (JSON) without its personal fields."""
    stated = plain_numbers(load_exact_json(data))
    return orjson.dumps({name: value for name, value in stated.items() if name not in PERSONAL_FIELDS}).decode()


def personal_texts(data: str) -> set[str]:
    """The texts in the personal fields of a customer's event, names of members apart."""
    stated = load_exact_json(data)
    return {text for name in PERSONAL_FIELDS for text in _texts(stated.get(name)) if len(text) >= _SHORTEST}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one)
