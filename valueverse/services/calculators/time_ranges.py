"""Windows [from, to) as calculators read them, and instants as they answer them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valueverse.errors import RefusalError, joined

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime


def known_fields(document: dict[str, Any], names: Iterable[str], path: str = "") -> None:
    """Refuse a field that nobody reads.

    Raises:
        RefusalError: ``unknown_field``.
    """
    known = set(names)
    for name in document:
        if name not in known:
            shown = name[:60]
            raise RefusalError.unknown("unknown_field", f"unknown field {shown!r}", name, known, joined(path, shown))


def read_bound(value: Any, zone: str, path: str) -> datetime:
    """An instant within the years that can be billed.

    Raises:
        RefusalError: ``bad_time``.
    """
    from valueverse.services.instants import read_instant
    from valueverse.subscriptions import FIRST_YEAR, LAST_YEAR

    moment = read_instant(value, zone, path)
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise RefusalError("bad_time", f"{value[:40]!r} lies outside the years {FIRST_YEAR} to {LAST_YEAR}", path)
    return moment
