"""What an event alone shows: required attributes, their form, and its time (contracts.md, section 1)."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache, lru_cache

import polars as pl

from valueverse.schemas.types import INSTANT

TENANT_KEY = r"^[a-z0-9][a-z0-9_.-]{0,62}$"
_RFC_3339 = r"^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:[0-5]\d(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2})$"
_FIRST, _LAST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
"""Both included: the range of an event's ``time`` and of every date in a billing event."""
CALENDAR = f"{EARLIEST:%Y-%m-%d} to {LATEST:%Y-%m-%d}"
LONGEST_KEY = 256
"""Characters of an event's keys and of a value of a dimension."""
_FUTURE_HOURS = 24
_REQUIRED = {
    "specversion": 'write "1.0"',
    "id": "write a text that no other event of its source has",
    "source": "write the name of the system that sends it",
    "type": "write what it is, such as api.usage",
    "time": "write when it happened, such as 2024-01-31T09:30:00Z",
}
"""Attributes of every event, and what to write."""
_UNPRINTABLE = r"[\p{C}\p{Z}/--\x20]"
"""What no printable text holds: control and format characters, separators but the space; and the slash."""
_CONTROL = r"[\x00-\x1f\x7f-\x9f]"
IS_BILLING = pl.col("type").str.starts_with("billing.")


@cache
def _literal(instant: datetime) -> pl.Expr:
    """Made once: Polars works out each of them by a query of its own. Not while the module is loaded: a query starts
    threads, which a process that is forked then does not have, and waits for."""
    return pl.lit(instant).cast(INSTANT)


def parse_instant(text: pl.Expr) -> pl.Expr:
    """The UTC instant of an RFC 3339 text with offset, to the microsecond; null if it is none.

    A leap second (``:60``) is refused: no clock here can place it.
    """
    well_formed = pl.when(text.str.contains(_RFC_3339)).then(text.str.to_uppercase())
    instant = well_formed.str.to_datetime("%+", time_unit="us", time_zone="UTC", strict=False).cast(INSTANT)
    # An offset can carry the first and the last day of the calendar out of it. Inside of a struct, so that the text is
    # parsed once and not once for each mention.
    inside = pl.field("at").is_between(_literal(_FIRST), _literal(_LAST))
    in_range = pl.when(inside).then(pl.field("at")).alias("at")
    return pl.struct(instant.alias("at")).struct.with_fields(in_range).struct.field("at")


@lru_cache(maxsize=1024)
def is_time_zone(name: str) -> bool:
    """Whether the engine that will turn local days into instants knows this IANA zone."""
    # Polars takes an empty name and plain offsets too; no zone of the database is called so.
    if not name[:1].isalpha():
        return False
    try:
        pl.Series([0], dtype=pl.Datetime("us", "UTC")).dt.convert_time_zone(name)
    except (pl.exceptions.PolarsError, UnicodeEncodeError):  # a lone surrogate has no UTF-8
        return False
    return True


def in_calendar(instant: pl.Expr) -> pl.Expr:
    """Whether an instant lies in the range of dates that are billed."""
    return instant.is_between(_literal(EARLIEST), _literal(LATEST))


def _is_name(text: pl.Expr) -> pl.Expr:
    return text.str.len_chars().is_between(1, 128) & ~text.str.contains(_UNPRINTABLE)


_Check = tuple[pl.Expr, str, str | pl.Expr, str]
"""(wrong, reason, message, path)."""
_KEYS = ("id", "source", "type", "replaces")
_BAD_SUBJECT = "'subject' must be customer or customer/subscription, 1 to 128 printable characters each"


def _key_checks() -> list[_Check]:
    named = [(name, pl.col(name)) for name in _KEYS]
    too_long = "{} must have 1 to {} characters, not {}"
    return [
        *(
            (pl.col(name).is_null(), "missing_attribute", f"{name!r} is required: {cure}", name)
            for name, cure in _REQUIRED.items()
        ),
        *(
            (text == "", "malformed", f"{name!r} must have 1 to {LONGEST_KEY} characters, not none", name)
            for name, text in named
        ),
        *(
            (
                text.str.len_chars() > LONGEST_KEY,
                "too_long",
                pl.format(too_long, pl.lit(repr(name)), LONGEST_KEY, text.str.len_chars()),
                name,
            )
            for name, text in named
        ),
        *(
            (text.str.contains(_CONTROL), "malformed", f"{name!r} must not hold control characters", name)
            for name, text in named
        ),
        (pl.col("specversion") != "1.0", "malformed", "'specversion' must be \"1.0\"", "specversion"),
    ]


def _time_checks() -> list[_Check]:
    unread = "'{}' is not an RFC 3339 time with offset like 2024-01-31T09:30:00Z"
    outside = pl.format("{} lies outside the dates that are billed, {}", "time", pl.lit(CALENDAR))
    return [
        (pl.col("instant").is_null(), "bad_time", pl.format(unread, pl.col("time").str.head(40)), "time"),
        (~in_calendar(pl.col("instant")), "bad_time", outside, "time"),
    ]


def _content_checks() -> list[_Check]:
    return [
        (
            pl.col("data").is_null() & pl.col("replaces").is_null(),
            "missing_attribute",
            "'data' is required, an object; null only voids the event that 'replaces' names",
            "data",
        ),
        *(
            (~IS_BILLING & ~_is_name(pl.col(name)), "malformed", _BAD_SUBJECT, "subject")
            for name in ("customer", "subscription")
        ),
        (
            pl.col("replaces") == pl.col("id"),
            "malformed",
            "an event cannot replace itself: 'replaces' names another event's id",
            "replaces",
        ),
    ]


@cache
def _fixed_checks() -> tuple[list[_Check], list[_Check], list[_Check]]:
    """Made once, not for every request with a few events."""
    return _key_checks(), _time_checks(), _content_checks()


def _checks(folder: str, received_at: pl.Expr) -> list[_Check]:
    """All checks, in the order in which they apply."""
    other = "the event says tenant '{}', but it is delivered as one of '{}': correct the one that is wrong"
    stranger = (
        pl.col("tenant") != folder,
        "unknown_tenant",
        pl.format(other, "tenant", pl.lit(folder)),
        "tenant",
    )
    late = received_at.cast(INSTANT) + pl.duration(hours=_FUTURE_HOURS)
    ahead = pl.format("{} is more than 24 hours ahead of its receipt: correct the time, or send it later", "time")
    early = (~IS_BILLING & (pl.col("instant") > late), "too_far_future", ahead, "time")
    of_keys, of_times, of_content = _fixed_checks()
    return [*of_keys, stranger, *of_times, early, *of_content]


@cache
def _parts() -> list[pl.Expr]:
    """instant, customer and subscription of an event."""
    subject = pl.col("subject")
    customer = pl.when(subject.str.contains("/", literal=True)).then(subject.str.extract(r"^([^/]*)/"))
    return [
        parse_instant(pl.col("time")).alias("instant"),
        customer.otherwise(subject).alias("customer"),
        subject.str.extract(r"^[^/]*/(.*)$").alias("subscription"),
    ]


def validate_events(parsed: pl.DataFrame, folder: str, received_at: pl.Expr) -> pl.DataFrame:
    """Add instant, customer and subscription; fill reason, message and path of what is refused.

    Args:
        parsed: PARSED_LINES rows of one file.
        folder: the tenant whose landing folder the file lies in.
        received_at: when each event was received, an instant.
    """
    placed = parsed.with_columns(_parts())
    checks = _checks(folder, received_at)
    # A line that could not be read keeps the reason that the reader gave.
    unjudged = pl.col("reason").is_null()
    any_wrong = pl.any_horizontal(wrong for wrong, *_ in checks).fill_null(value=False)
    bad = placed.select(any_wrong & unjudged).to_series()
    if not bad.any():
        return placed
    # Sentences are written for the few rows they are about.
    reason, message, path = (pl.col(name) for name in ("reason", "message", "path"))
    hits = [wrong.fill_null(value=False) & unjudged for wrong, *_ in checks]
    for hit, (_, code, stated, where) in reversed(list(zip(hits, checks, strict=True))):
        sentence = stated if isinstance(stated, pl.Expr) else pl.lit(stated)
        reason = pl.when(hit).then(pl.lit(code)).otherwise(reason)
        message = pl.when(hit).then(sentence).otherwise(message)
        path = pl.when(hit).then(pl.lit(where)).otherwise(path)
    invalid = placed.filter(bad).with_columns(reason.alias("reason"), message.alias("message"), path.alias("path"))
    return pl.concat([placed.filter(~bad), invalid]).sort("line", maintain_order=True)
