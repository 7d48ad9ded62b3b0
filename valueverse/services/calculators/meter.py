"""``valueverse meter``: events and a meter in, a quantity out, computed by the engine that bills."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from valueverse.errors import RefusalError
from valueverse.money import exact, plain

if TYPE_CHECKING:
    from collections.abc import Iterable

    import polars as pl

    from valueverse.catalog import MeterRule

_TYPE, _METER, _CUSTOMER = "usage", "meter", "customer"
_TOTAL = "total"
"""The line on which every dimension of one input counts together."""


@dataclass
class _Job:
    """One input line, read."""

    rule: MeterRule
    window: dict[str, Any]
    events: list[dict[str, Any]]
    conflicts: list[str]
    openings: list[dict[str, Any]] = field(default_factory=list)


def meter_documents(documents: list[dict[str, Any]]) -> Iterable[dict[str, Any] | RefusalError]:
    """Answer each document; all of them are metered together."""
    jobs: list[_Job | RefusalError] = []
    for number, document in enumerate(documents):
        try:
            jobs.append(_read(number, document))
        except RefusalError as refusal:
            jobs.append(refusal)
    good = {number: job for number, job in enumerate(jobs) if isinstance(job, _Job)}
    answers = _metered(good) if good else {}
    return [job if isinstance(job, RefusalError) else answers[number] for number, job in enumerate(jobs)]


def _read(number: int, document: dict[str, Any]) -> _Job:
    from valueverse.services.calculators.line_fields import read_line
    from valueverse.services.calculators.meter_input import METER_CODES, MeterInput
    from valueverse.services.calculators.time_ranges import known_fields

    known_fields(document, MeterInput.model_fields)
    rule = _rule(document.get("meter"))
    stated = read_line(MeterInput, document, METER_CODES)
    start, end = stated.period
    full_start, full_end = stated.full_period or stated.period
    if not full_start <= start < end <= full_end:
        raise RefusalError("bad_period", "full_period must hold the whole of period", "full_period")
    window = {
        "window": number, "tenant": str(number), "customer": _CUSTOMER, "subscription": None, "meter": _METER,
        "from": start, "to": end, "full_from": full_start, "full_to": full_end, "timezone": stated.timezone,
        "prorate": _prorate(stated.prorate, rule), "round_prorated": stated.round_prorated,
    }  # fmt: skip
    read = [
        {
            "tenant": str(number),
            "time": event.time,
            "received_at": event.received_at or event.time,
            "id": event.id if "id" in event.model_fields_set else f"{index:09d}",
            "data": _json(event.data, f"events[{index}].data"),
        }
        for index, event in enumerate(stated.events)
    ]
    given = document.get("events", [])
    return _Job(rule, window, *_each_once(given, read), _openings(number, stated.opening, rule))


def _rule(value: Any) -> MeterRule:
    from valueverse.catalog import MeterRule
    from valueverse.documents import judge_object

    if not isinstance(value, dict):
        raise RefusalError("bad_meter", 'meter must be an object such as {"aggregation": "count"}', "meter")
    # A meter copied from a catalog also says its key and event type; the events of a line are all its own.
    rule = {name: part for name, part in value.items() if name not in {"key", "event_type", "name"}}
    try:
        return judge_object(MeterRule, rule, "bad_meter")
    except RefusalError as refusal:
        raise refusal.below("meter") from refusal


def _prorate(value: Any, rule: MeterRule) -> bool:
    from valueverse.catalog import PRORATED_AGGREGATIONS

    if value in (None, False, "none"):
        return False
    if value not in (True, "day"):
        raise RefusalError("bad_proration", f"prorate is 'day' or 'none', not {str(value)[:40]!r}", "prorate")
    if rule.aggregation not in PRORATED_AGGREGATIONS:
        message = f"only {' and '.join(PRORATED_AGGREGATIONS)} are prorated by days, not {rule.aggregation}"
        raise RefusalError("bad_proration", message, "prorate")
    return True


def _each_once(given: list[Any], read: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    """The events, those with one source and id taken once, and the ids under which other payloads came later.

    The rule is that of ingestion (contracts.md, 1): the first received wins. Events without an id are all taken.
    """
    from valueverse.events import same_payload

    first: dict[tuple[str, str], dict[str, Any]] = {}
    accepted, conflicts = [], []
    for event, row in sorted(zip(given, read, strict=True), key=lambda pair: pair[1]["received_at"]):
        attributes = {name: event.get(name) for name in ("type", "subject", "replaces")}
        payload = {**attributes, "time": row["time"], "data": row["data"]}
        before = first.setdefault((str(event.get("source")), row["id"]), payload) if "id" in event else payload
        if before is payload:
            accepted.append(row)
        elif not same_payload(before, payload):
            conflicts.append(row["id"])
    return accepted, conflicts


def _json(data: dict[str, Any], path: str) -> str:
    def number(value: Any) -> str | int:
        # json writes no Decimal; a text that reads as a number is the same number to a meter.
        if value and not -40 < value.adjusted() < 40:
            return str(value)
        return int(value) if value == value.to_integral_value() and abs(value) < 10**15 else plain(value)

    try:
        return json.dumps(data, default=number, ensure_ascii=False)
    except (ValueError, RecursionError) as error:
        raise RefusalError("bad_events", f"data cannot be read: {error}", path) from error


def _openings(number: int, value: Any, rule: MeterRule) -> list[dict[str, Any]]:
    from valueverse.catalog import LEVEL_AGGREGATIONS, dimension_text
    from valueverse.formula import QUANTITY_LIMIT

    if value is None or value == []:
        return []
    if rule.aggregation not in LEVEL_AGGREGATIONS:
        raise RefusalError("bad_opening", f"{rule.aggregation} has no level to open with", "opening")
    group = {"window": number, "dimensions": "{}" if rule.dimensions else ""}
    if rule.aggregation != "unique_count":
        level = exact(value, "opening")
        if level.copy_abs() >= QUANTITY_LIMIT:
            message = f"{plain(level)} is out of range: an opening lies below {plain(QUANTITY_LIMIT)}"
            raise RefusalError("out_of_range", message, "opening")
        return [{**group, "value": level, "text_value": None}]
    if not isinstance(value, list):
        raise RefusalError("bad_opening", "the opening of unique_count is the list of values present", "opening")
    scalars = (str, bool, Decimal)
    if not all(isinstance(member, scalars) for member in value):
        raise RefusalError("bad_opening", "a value in the opening is a text, a number, true or false", "opening")
    return [{**group, "value": None, "text_value": dimension_text(member)} for member in value]


def _metered(jobs: dict[int, _Job]) -> dict[int, dict[str, Any] | RefusalError]:
    import polars as pl

    from valueverse.metering import NO_VALUE, TOO_LONG, QuantityScope, meter_quantities
    from valueverse.schemas.metering import WINDOW_OPENINGS, WINDOWS

    usage = _usage(jobs)
    windows = pl.DataFrame(
        [job.window for job in jobs.values()],
        schema={**WINDOWS, "prorate": pl.Boolean(), "round_prorated": pl.Int32()},
    )
    meters = _meters(jobs)
    openings = pl.DataFrame([row for job in jobs.values() for row in job.openings], schema=WINDOW_OPENINGS)
    relevant = usage.lazy().filter(pl.col("meter").is_not_null())
    rows = meter_quantities(relevant, windows, meters, None, QuantityScope(openings=openings))
    dimensions = usage.select(pl.col("tenant").cast(pl.UInt32).alias("window"), "dimensions").unique()
    whole = QuantityScope(
        lines=dimensions.with_columns(pl.lit(_TOTAL).alias("line")),
        openings=openings.with_columns(pl.lit(_TOTAL).alias("dimensions")),
    )
    totals = meter_quantities(relevant, windows, meters, None, whole)
    unbilled = usage.filter(pl.col("status").is_in([NO_VALUE, TOO_LONG]))
    return _answers(jobs, rows, totals, unbilled)


def _usage(jobs: dict[int, _Job]) -> pl.DataFrame:
    """The lines' events as usage: every line is a tenant of its own, so that one run meters them all."""
    import polars as pl

    from valueverse.metering import MeterAssignments, usage_rows
    from valueverse.schemas.events import EVENTS
    from valueverse.schemas.types import INSTANT

    sets = list(dict.fromkeys(((_METER, job.rule),) for job in jobs.values()))
    numbers = {meters: index for index, meters in enumerate(sets)}
    stretches = pl.DataFrame(
        {
            "tenant": [str(number) for number in jobs],
            "event_type": [_TYPE] * len(jobs),
            "taker": [numbers[((_METER, job.rule),)] for job in jobs.values()],
        },
        schema_overrides={"taker": pl.UInt32},
    ).with_columns(valid_from=pl.lit(None, INSTANT), valid_to=pl.lit(None, INSTANT))
    schema = EVENTS.part("tenant", "time", "received_at", "id", "data")
    events = pl.DataFrame([event for job in jobs.values() for event in job.events], schema=schema)
    whole = events.lazy().with_columns(
        pl.col("time").dt.date().alias("event_date"),
        pl.lit(_CUSTOMER).alias("customer"),
        pl.lit(None, pl.String).alias("subscription"),
        pl.lit(_TYPE).alias("type"),
        pl.lit("").alias("source"),
        pl.col("id").alias("root_id"),
        pl.lit(None, INSTANT).alias("known_until"),
        pl.lit(value=False).alias("is_void"),
        pl.lit(value=False).alias("awaiting_original"),
    )
    return usage_rows(whole, MeterAssignments(sets, stretches)).collect()


def _meters(jobs: dict[int, _Job]) -> pl.DataFrame:
    import polars as pl

    from valueverse.schemas.catalog import METER_VERSIONS

    rows = [
        {
            "tenant": str(number),
            "meter": _METER,
            "aggregation": job.rule.aggregation,
            "carry_over": job.rule.carry_over,
            "rounding_mode": job.rule.rounding.mode if job.rule.rounding else None,
            "rounding_places": job.rule.rounding.places if job.rule.rounding else None,
        }
        for number, job in jobs.items()
    ]
    names = ("tenant", "meter", "aggregation", "carry_over", "rounding_mode", "rounding_places")
    return pl.DataFrame(rows, schema={name: METER_VERSIONS[name] for name in names})


def _answers(
    jobs: dict[int, _Job], rows: pl.DataFrame, totals: pl.DataFrame, unread: pl.DataFrame
) -> dict[int, dict[str, Any] | RefusalError]:
    def quantity(row: dict[str, Any]) -> Decimal | None:
        prorated = jobs[row["window"]].window["prorate"]
        found: Decimal | None = row["prorated_quantity" if prorated else "quantity"]
        return found

    answers: dict[int, dict[str, Any]] = {number: {"quantity": "0", "rows": []} for number in jobs}
    refused: dict[int, RefusalError] = {}
    for row in (*totals.iter_rows(named=True), *rows.iter_rows(named=True)):
        number, answer = quantity(row), answers[row["window"]]
        if number is None:
            message = "the total is 10^20 or more: meter a larger unit"
            refused[row["window"]] = RefusalError("out_of_range", message, "events")
        elif row["dimensions"] == _TOTAL:
            answer["quantity"] = plain(number)
        else:
            dimensions = json.loads(row["dimensions"]) if row["dimensions"] else {}
            answer["rows"].append({"dimensions": dimensions, "quantity": plain(number)})
    for place, job in jobs.items():
        if job.conflicts:
            answers[place]["quarantined"] = [{"id": event, "reason": "conflict"} for event in job.conflicts]
    for tenant, event, reason in unread.select("tenant", "id", "status").iter_rows():
        answers[int(tenant)].setdefault("unbilled", []).append({"id": event, "reason": reason})
    return {**answers, **refused}
