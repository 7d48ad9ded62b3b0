"""The countries of ISO 3166-1, as Unicode's CLDR lists them: what a command refuses, since a typo is no country.

Ingestion takes any two capitals: what was valid once stays valid, and ISO adds codes.
"""

from __future__ import annotations

from babel import Locale
from babel.core import get_global

from valueverse.errors import RefusalError, near_names

_NO_COUNTRIES = frozenset(["AC", "CP", "CQ", "DG", "EA", "EU", "EZ", "IC", "QO", "TA", "UN", "XA", "XB", "ZZ"])
"""Codes of CLDR that ISO 3166-1 does not assign: islands, groups of countries, and what stands for none. XK stays."""


def judge_country(code: str, path: str) -> None:
    """Refuse a code that is no country's, with the one that was probably meant.

    Args:
        code: as it was given.
        path: the option.

    Raises:
        RefusalError: ``unknown_country``.
    """
    named = {key: name for key, name in Locale("en").territories.items() if len(key) == 2 and key not in _NO_COUNTRIES}
    if code in named:
        return
    meant = _meant(code, {name.casefold(): key for key, name in named.items()}, set(named))
    ending = f": did you mean {meant!r} ({named[meant]})?" if meant else ": write two capitals like 'DE'"
    raise RefusalError("unknown_country", f"{code[:40]!r} is no country of ISO 3166-1{ending}", path, meant)


def _meant(code: str, by_name: dict[str, str], codes: set[str]) -> str | None:
    """The country with this code in small letters, with this older or longer code, or with a name like this."""
    alias: list[str] = [code.upper(), *get_global("territory_aliases").get(code.upper(), [])]
    if known := [one for one in alias if one in codes]:
        return known[0]
    near = near_names(code.casefold(), by_name)
    return by_name[near[0]] if near else None
