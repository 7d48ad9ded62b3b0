"""``--from`` and ``--to``: the days that choose invoices, one rule and one text for every command."""

from __future__ import annotations

from datetime import date

from valueverse.errors import RefusalError

FROM_HELP = "Invoices of periods that end after this day (of a start: on it or later) ..."
TO_HELP = "... and up to this one (of a start: before it); days begin at midnight in the tenant's time zone."


def read_day(text: str, option: str) -> date:
    """The date that an option names.

    Raises:
        RefusalError: ``bad_date``, also for years in which nothing can be billed.
    """
    from valueverse.subscriptions import FIRST_YEAR, LAST_YEAR

    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise RefusalError("bad_date", f"{text!r} is not a date like 2024-01-31", option) from error
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise RefusalError("bad_date", f"{text} lies outside the years {FIRST_YEAR} to {LAST_YEAR}", option)
    return day
