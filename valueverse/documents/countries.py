"""Countries by their ISO 3166-1 alpha-2 codes."""

from __future__ import annotations

from typing import Any

from valueverse.documents.validation import wrong
from valueverse.errors import near_names

_SECOND_LETTERS = {
    "A": "DEFGILMOQRSTUWXZ", "B": "ABDEFGHIJLMNOQRSTVWYZ", "C": "ACDFGHIKLMNORUVWXYZ", "D": "EJKMOZ", "E": "CEGHRST",
    "F": "IJKMOR", "G": "ABDEFGHILMNPQRSTUWY", "H": "KMNRTU", "I": "DELMNOQRST", "J": "EMOP", "K": "EGHIMNPRWYZ",
    "L": "ABCIKRSTUVY", "M": "ACDEFGHKLMNOPQRSTUVWXYZ", "N": "ACEFGILOPRUZ", "O": "M", "P": "AEFGHKLMNRSTWY",
    "Q": "A", "R": "EOSUW", "S": "ABCDEGHIJKLMNORSTVXYZ", "T": "CDFGHJKLMNORTVWZ", "U": "AGMSYZ", "V": "ACEGINU",
    "W": "FS", "X": "K", "Y": "ET", "Z": "AMW",
}  # fmt: skip
COUNTRIES = frozenset(first + second for first, others in _SECOND_LETTERS.items() for second in others)
"""All that are assigned, and XK, which ISO leaves to its users and all use for Kosovo."""


def judge_country(value: Any) -> Any:
    """The code as it is.

    Raises:
        PydanticCustomError: it is no country of ISO 3166-1; with the one that was probably meant.
    """
    if isinstance(value, str) and value in COUNTRIES:
        return value
    meant = _meant(value) if isinstance(value, str) else None
    ending = f": did you mean {meant!r} ({_names()[meant]})?" if meant else ": write two capitals like 'DE'"
    raise wrong(f"{str(value)[:40]!r} is no country of ISO 3166-1{ending}", suggestion=meant)


def _meant(code: str) -> str | None:
    """The country with this code in small letters, with this older or longer code, or with a name like this."""
    from babel.core import get_global

    alias: list[str] = [code.upper(), *get_global("territory_aliases").get(code.upper(), [])]
    if known := [one for one in alias if one in COUNTRIES]:
        return known[0]
    by_name = {name.casefold(): key for key, name in _names().items()}
    near = near_names(code.casefold(), by_name)
    return by_name[near[0]] if near else None


def _names() -> dict[str, str]:
    """English names, as Unicode's CLDR has them: read when a code is refused, and never else."""
    from babel import Locale

    return {key: name for key, name in Locale("en").territories.items() if key in COUNTRIES}
