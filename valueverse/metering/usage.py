"""Accepted usage events -> usage rows: which meters take an event, and which exact value it carries for each.

Events of tenants whose meters read them alike are worked on together: one pass over the events, whatever
the number of tenants, catalogs and meters.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import polars as pl

from valueverse.catalog import AMOUNT_MARK, all_meters
from valueverse.events import LONGEST_KEY, resolve_amendments
from valueverse.formula import at_path, compile_condition, compile_member, compile_value, extract, parse_path, paths_in
from valueverse.metering.usage_status import AWAITING_ORIGINAL, NO_METER, NO_VALUE, OK, TOO_LONG, VOID
from valueverse.schemas.dimensions import in_canonical_order
from valueverse.schemas.metering import USAGE
from valueverse.schemas.types import EXACT, INSTANT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from valueverse.catalog import CatalogHistory, MeterRule

_CARRIED = [
    "tenant", "event_date", "time", "customer", "subscription", "event_type", "source", "id", "root_id",
    "received_at", "known_until",
]  # fmt: skip
_OPERATIONS = ["add", "remove"]
_MOST_BYTES = 1_400
"""Of an event's dimensions as JSON text. They are part of a key in Postgres, whose index takes 2,700 bytes in all."""
_WHOLE_FRACTION = r'([^\\]"\s*:\s*-?[0-9]+)\.0+([,}\s])'
"""A whole number with decimals behind a member's name: inside a text every quote has a backslash before it."""


@dataclass(frozen=True)
class MeterAssignments:
    """Who takes which events.

    Attributes:
        sets: each distinct set of meters, as (key, rule) pairs in order of key.
        stretches: tenant, event_type, valid_from, valid_to?, taker (index into sets): which set takes a tenant's
            events of a type in [valid_from, valid_to).
    """

    sets: Sequence[tuple[tuple[str, MeterRule], ...]]
    stretches: pl.DataFrame

    @classmethod
    def of(cls, history: CatalogHistory) -> MeterAssignments:
        """The meters of every catalog version, by tenant and event type."""
        numbers: dict[tuple[tuple[str, MeterRule], ...], int] = {}
        rows = []
        for key, catalog in history.catalogs.items():
            by_type: dict[str, list[tuple[str, MeterRule]]] = {}
            for meter in sorted(all_meters(catalog), key=lambda meter: meter.key):
                by_type.setdefault(meter.event_type, []).append((meter.key, meter.rule))
            for event_type, meters in by_type.items():
                number = numbers.setdefault(tuple(meters), len(numbers))
                rows.append({"catalog_hash": key, "event_type": event_type, "taker": number})
        schema = {"catalog_hash": pl.String(), "event_type": pl.String(), "taker": pl.UInt32()}
        return cls(list(numbers), _stretches(history.versions, pl.DataFrame(rows, schema=schema)))


def _stretches(versions: pl.DataFrame, assignments: pl.DataFrame) -> pl.DataFrame:
    """Every tenant and event type over all time, without a gap: ``taker`` null where no meter takes the type.

    Without gaps each event meets exactly one row, so one join with a filter neither loses nor doubles it.
    """
    ordered = versions.sort("tenant", "effective_at").select(
        "tenant",
        "catalog_hash",
        pl.col("effective_at").alias("valid_from"),
        pl.col("effective_at").shift(-1).over("tenant").alias("valid_to"),
    )
    before = ordered.group_by("tenant").agg(pl.col("valid_from").min().alias("valid_to"))
    nobody = before.select(
        "tenant",
        pl.lit(None, pl.String).alias("catalog_hash"),
        pl.lit(None, INSTANT).alias("valid_from"),
        "valid_to",
    )
    types = ordered.join(assignments, on="catalog_hash").select("tenant", "event_type").unique()
    return (
        pl.concat([ordered, nobody])
        .join(types, on="tenant")
        .join(assignments, on=["catalog_hash", "event_type"], how="left")
        .select("tenant", "event_type", "valid_from", "valid_to", "taker")
    )


def derive_usage(events: pl.LazyFrame, history: CatalogHistory) -> pl.LazyFrame:
    """The USAGE rows of accepted usage events; at least one row per event.

    Args:
        events: rows of the events table, resolved by ``resolve_amendments`` or not yet; billing events are left out.
        history: the tenants' catalogs. The catalog in force at an event's time decides which meters take it.
    """
    if "root_id" not in events.collect_schema():
        events = resolve_amendments(events)
    return usage_rows(events.filter(~pl.col("type").str.starts_with("billing.")), MeterAssignments.of(history))


def usage_rows(events: pl.LazyFrame, assignments: MeterAssignments) -> pl.LazyFrame:
    """``derive_usage`` for resolved usage events and given meter assignments."""
    start, end = pl.col("valid_from"), pl.col("valid_to")
    in_force = (start.is_null() | (pl.col("time") >= start)) & (end.is_null() | (pl.col("time") < end))
    # What is void or waits for its original feeds no meter; a null taker makes it one row with its status.
    readable = ~(pl.col("is_void") | pl.col("awaiting_original"))
    if "known_from" in events.collect_schema():
        # An amendment that came before its original is known as usage from the receipt of the original on.
        events = events.with_columns(pl.col("known_from").alias("received_at"))
    assigned = (
        events.rename({"type": "event_type"})
        .join(assignments.stretches.lazy(), on=["tenant", "event_type"], how="left")
        .filter(in_force)
        .select(
            *_CARRIED,
            "data",
            "is_void",
            "awaiting_original",
            pl.when(readable).then("taker").alias("taker"),
        )
    )

    def read(batch: pl.DataFrame) -> pl.DataFrame:
        return _read_batch(batch, assignments.sets)

    # Each set of meters reads its own rows only: written as one lazy expression, every meter of every tenant
    # would have to look at every event.
    return assigned.map_batches(
        read, schema=USAGE, streamable=True, predicate_pushdown=False, projection_pushdown=False
    )


def _read_batch(batch: pl.DataFrame, sets: Sequence[tuple[tuple[str, MeterRule], ...]]) -> pl.DataFrame:
    parts = [USAGE.to_frame()]
    for (number,), part in batch.partition_by("taker", as_dict=True, maintain_order=True).items():
        parts.extend([_unmetered(part)] if number is None else _metered(part, sets[int(number)]))
    return pl.concat(parts)


def _unmetered(part: pl.DataFrame) -> pl.DataFrame:
    status = (
        pl.when("is_void")
        .then(pl.lit(VOID))
        .when("awaiting_original")
        .then(pl.lit(AWAITING_ORIGINAL))
        .otherwise(pl.lit(NO_METER))
    )
    empty = {name: pl.lit(None, USAGE[name]) for name in ("meter", "value", "text_value", "operation")}
    return part.select(*_CARRIED, **empty, dimensions=pl.lit(""), status=status)


def _metered(part: pl.DataFrame, meters: tuple[tuple[str, MeterRule], ...]) -> list[pl.DataFrame]:
    readings = [reading(rule) for _, rule in meters]
    carried = [*_CARRIED, "is_void", "awaiting_original"]
    columns = [expr.alias(f"{index}.{name}") for index, found in enumerate(readings) for name, expr in found.items()]
    # One pass for all meters.
    read = _values(part, carried, [rule for _, rule in meters]).select(*carried, *columns)
    frames = []
    untaken = pl.lit(value=True)
    places = {key: index for index, (key, _) in enumerate(meters)}
    for index, (key, rule) in enumerate(meters):
        taken = pl.col(f"{index}.taken")
        if rule.where is not None:
            untaken &= ~taken
        else:
            untaken = pl.lit(value=False)
        # An amount counts where the meter that it stands beside counts the event (amount_meters).
        counting = places.get(key.partition(AMOUNT_MARK)[0], index)
        frames.append(_rows_of(read.filter(taken) if rule.where is not None else read, key, index, counting))
    return [*frames, _unmetered(read.filter(untaken))]


def _values(part: pl.DataFrame, carried: list[str], rules: list[MeterRule]) -> pl.DataFrame:
    """What the meters' paths point at, a column for each; a path which several meters read is read once.

    In JSON 1.0 and 1 are one number, while a text "1.0" stays what it is. Only the event's JSON distinguishes them: the
    few events in question are read again, such numbers in it written as whole ones.
    """
    columns = [*carried, *extract("data", (path for rule in rules for path in paths_of(rule)))]
    values = part.select(columns)
    compared = dict.fromkeys(path for rule in rules for path in _texts_of(rule))
    whole = [at_path(path).str.ends_with(".0").fill_null(value=False) for path in compared]
    again = values.select(pl.any_horizontal(pl.lit(value=False), *whole).alias("again")).to_series()
    if not again.any():
        return values
    rewritten = part.filter(again).with_columns(pl.col("data").str.replace_all(_WHOLE_FRACTION, "$1$2"))
    return pl.concat([values.filter(~again), rewritten.select(columns)])


def _rows_of(read: pl.DataFrame, key: str, index: int, counting: int) -> pl.DataFrame:
    """USAGE of the meter at a place; it has a value where the meter at ``counting`` has one too."""
    fits, has_value = (pl.col(f"{index}.{name}") & pl.col(f"{counting}.{name}") for name in ("fits", "present"))
    own = {
        name: pl.when(fits).then(f"{index}.{name}").otherwise(pl.lit("" if name == "dimensions" else None, USAGE[name]))
        for name in ("value", "text_value", "operation", "dimensions")
    }
    present = pl.when(has_value).then(pl.lit(OK)).otherwise(pl.lit(NO_VALUE))
    status = pl.when(fits).then(present).otherwise(pl.lit(TOO_LONG))
    return read.select(*_CARRIED, meter=pl.lit(key), **own, status=status).select(USAGE.names())


def paths_of(rule: MeterRule) -> list[tuple[str, ...]]:
    """Every path into ``data`` that a meter reads."""
    paths = [parse_path(path) for path in rule.dimensions] + (paths_in(rule.where) if rule.where else [])
    if rule.aggregation == "count":
        return paths
    operation = [] if rule.operation is None else [parse_path(rule.operation)]
    return paths + paths_in(str(rule.value)) + operation


def _texts_of(rule: MeterRule) -> list[tuple[str, ...]]:
    """The paths whose values are compared as texts: dimensions, and what unique_count counts."""
    members = paths_in(str(rule.value)) if rule.aggregation == "unique_count" else []
    return [parse_path(path) for path in rule.dimensions] + members


def reading(rule: MeterRule) -> Mapping[str, pl.Expr]:
    """What a meter reads, over ``extract`` columns: taken, present, fits, value, text_value, operation, dimensions."""
    taken = compile_condition(rule.where) if rule.where is not None else pl.lit(value=True)
    value, text, operation = pl.lit(None, EXACT), pl.lit(None, pl.String), pl.lit(None, pl.String)
    if rule.aggregation == "unique_count":
        text = compile_member(str(rule.value))
        operation = pl.lit("add")
        if rule.operation is not None:
            operation = at_path(parse_path(rule.operation)).fill_null("add")
        # An operation that is neither add nor remove says nothing that could be counted.
        present = text.is_not_null() & operation.is_in(_OPERATIONS)
    elif rule.aggregation == "count":
        value, present = pl.lit(1).cast(EXACT), pl.lit(value=True)
    else:
        value = compile_value(str(rule.value))
        present = value.is_not_null()
    return {
        "taken": taken,
        "present": present,
        "fits": _fits(rule, text),
        "value": value,
        "text_value": text,
        "operation": operation,
        "dimensions": event_dimensions(rule.dimensions),
    }


def _fits(rule: MeterRule, text: pl.Expr) -> pl.Expr:
    """Whether the values of the usage's key are short enough for one."""
    own_values = [at_path(parse_path(path)) for path in rule.dimensions]
    short = [one.str.len_chars() <= LONGEST_KEY for one in (*own_values, text)]
    whole = event_dimensions(rule.dimensions).str.len_bytes() <= _MOST_BYTES
    return pl.all_horizontal(whole, *short).fill_null(value=True)


@cache
def _quoted(name: str) -> str:
    return str(pl.select(pl.struct(pl.lit(name).alias("k")).struct.json_encode()).item())[len('{"k":') : -1]


def event_dimensions(names: Sequence[str]) -> pl.Expr:
    """Canonical JSON object of an event's dimensions: keys sorted, values as texts, a missing one left out.

    '' for a meter without dimensions.
    """
    if not names:
        return pl.lit("")
    members = []
    for name in in_canonical_order(names):
        text = at_path(parse_path(name))
        escaped = pl.struct(text.alias("k")).struct.json_encode().str.slice(len('{"k":')).str.strip_suffix("}")
        members.append(pl.when(text.is_not_null()).then(pl.concat_str(pl.lit(f"{_quoted(name)}:"), escaped)))
    return pl.concat_str(pl.lit("{"), pl.concat_str(members, separator=",", ignore_nulls=True), pl.lit("}"))
