"""``valueverse periods``: the billing periods that overlap a window, by the engine that bills."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valueverse.errors import RefusalError
from valueverse.services.calculators.time_ranges import known_fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date, datetime

    import polars as pl

    from valueverse.catalog import Period

Document = dict[str, Any]

MOST_PERIODS = 100_000
"""Periods of one answer; also about as many as are worked out at once."""
_FIELDS = ("id", "period", "anchor", "timezone", "from", "to", "start", "end")
_DAYS = {"day": 1, "week": 7, "month": 28, "quarter": 89, "year": 365}


def _period(value: Any) -> Period:
    from valueverse.catalog import Period
    from valueverse.documents import judge_object

    if not isinstance(value, dict):
        message = 'period must be an object such as {"every": 1, "unit": "month", "align": "anniversary"}'
        raise RefusalError("bad_period", message, "period")
    try:
        return judge_object(Period, value, "bad_period")
    except RefusalError as refusal:
        raise refusal.below("period") from refusal


def _anchor(document: Document, zone: str, period: Period) -> date:
    import polars as pl

    from valueverse.services.instants import read_instant
    from valueverse.subscriptions import local_date

    value = document.get("anchor")
    if value is None and (period.align == "anniversary" or period.every > 1):
        message = "anchor is missing: give the date whose day (or, with every > 1, whose phase) the periods keep"
        raise RefusalError("missing_field", message, "anchor")
    instant = read_instant(document["from"] if value is None else value, zone, "anchor")
    if isinstance(value, str) and len(value) == len("2026-01-31"):
        from datetime import date

        return date.fromisoformat(value)
    row = pl.DataFrame({"instant": [instant], "zone": [zone]}, schema_overrides={"instant": pl.Datetime("us", "UTC")})
    found: date = local_date(row, pl.col("instant"), "zone", "day")["day"].item()
    return found


def _read(document: Document) -> Document:
    """The row of the schedule that a line asks for."""
    from valueverse.services.calculators.line_fields import read_line
    from valueverse.services.calculators.periods_input import PeriodsInput

    known_fields(document, _FIELDS)
    period = _period(document.get("period"))
    stated = read_line(PeriodsInput, document)
    zone = stated.timezone
    most = (stated.to - stated.from_).days // (_DAYS[period.unit] * period.every) + 2
    if most > MOST_PERIODS:
        message = f"about {most:,} periods are asked for, at most {MOST_PERIODS:,} are answered: shorten the window"
        raise RefusalError("too_many_periods", message, "to")
    return {
        "every": period.every, "unit": period.unit, "align": period.align, "timezone": zone,
        "anchor": _anchor(document, zone, period), "window_from": stated.from_, "window_to": stated.to,
        "start": stated.start,
        "end": stated.end, "most": most,
    }  # fmt: skip


def _portions(rows: list[Document]) -> Iterator[list[Document]]:
    """Rows in portions of bounded work, so that many long windows on one pipe do not fill the memory."""
    portion: list[Document] = []
    work = 0
    for row in rows:
        if portion and work + row["most"] > MOST_PERIODS:
            yield portion
            portion, work = [], 0
        portion.append(row)
        work += row["most"]
    if portion:
        yield portion


def _schedule(rows: list[Document]) -> pl.DataFrame:
    import polars as pl

    from valueverse.schemas.subscriptions import PERIOD_WINDOWS

    selected = [{name: row[name] for name in PERIOD_WINDOWS} for row in rows]
    return pl.DataFrame(selected, schema=PERIOD_WINDOWS).with_row_index("key")


def _answers_of(rows: list[Document]) -> list[Document]:
    from valueverse.dates import utc_text
    from valueverse.money import plain
    from valueverse.subscriptions import overlapping_periods, proration_factor

    answers: list[Document] = [{"periods": []} for _ in rows]
    for row in overlapping_periods(_schedule(rows)).iter_rows(named=True):
        times: dict[str, datetime] = {name: row[name] for name in ("from", "to", "full_from", "full_to")}
        shown = {name: utc_text(moment) for name, moment in times.items()}
        answers[row["key"]]["periods"].append(
            {
                "from": shown["from"],
                "to": shown["to"],
                "full": {"from": shown["full_from"], "to": shown["full_to"]},
                "factor": plain(proration_factor(row["used_days"], row["full_days"])),
            }
        )
    return answers


def answer(documents: list[Document]) -> Iterable[Document | RefusalError]:
    """One answer or refusal per document, in order."""
    judged: list[Document | RefusalError] = []
    for document in documents:
        try:
            judged.append(_read(document))
        except RefusalError as refusal:
            judged.append(refusal)
    rows = [row for row in judged if isinstance(row, dict)]
    answered = (found for portion in _portions(rows) for found in _answers_of(portion))
    return [row if isinstance(row, RefusalError) else next(answered) for row in judged]
