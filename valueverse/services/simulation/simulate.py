"""Any catalog against any past, from files or the lake, by the engine that bills: ``valueverse simulate``."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import polars as pl

from valueverse.catalog import CatalogHistory, parse_catalog
from valueverse.errors import RefusalError
from valueverse.events import (
    COMPARED_FIELDS,
    EVENT_KEY,
    judge_billing_event,
    load_exact_json,
    parse_instant,
    resolve_amendments,
    same_payload,
)
from valueverse.invoicing import Billed, RecordedInvoices, bill, closing_within, newest_known_at
from valueverse.invoicing.rendering import billed_days, build_invoice_documents
from valueverse.landing import landing_files, one_file, read_file
from valueverse.metering import OK, VOID, derive_usage
from valueverse.money import minor_text, minor_units
from valueverse.schemas.events import BILLING_FACTS, EVENTS
from valueverse.schemas.invoicing import INVOICE
from valueverse.schemas.types import INSTANT
from valueverse.services.catalogs.check_catalog import read_catalog_text
from valueverse.services.event_tally import Tally
from valueverse.services.lake_tables import EVENTS_TABLE
from valueverse.services.per_tenant import without_failing
from valueverse.services.simulation.simulated_events import (
    count_billing,
    count_usage,
    judged_lines,
    starts_without_customer,
    with_tenants,
)
from valueverse.subscriptions import (
    FIRST_YEAR,
    LAST_YEAR,
    Timeline,
    build_timeline,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from valueverse.catalog import Catalog
    from valueverse.platform.isolation import Failure
    from valueverse.platform.lake import Lake
    from valueverse.subscriptions import DateOrExpr

T = TypeVar("T")

_PAYER = ["tenant", "customer", "currency"]
_BOOKED = ["tenant", "subscription", "period_from", "period_to"]
_SHOWN = 20
_FAR_AHEAD = datetime(LAST_YEAR, 12, 30, tzinfo=UTC)


def print_note(message: str) -> None:
    """One line on standard error."""
    sys.stderr.write(f"{message}\n")


def _print_some(messages: list[str]) -> None:
    """The first of them, and how many more there are."""
    for message in messages[:_SHOWN]:
        print_note(message)
    if len(messages) > _SHOWN:
        print_note(f"... and {len(messages) - _SHOWN} more")


def _reasons(rejected: pl.DataFrame) -> list[tuple[str, str]]:
    return rejected.select("reason", "message").rows()


def parsed(events: list[Path], landing: Path | None) -> pl.DataFrame:
    """The lines of all files: those of a folder with its tenant, the others with the one that each names, else the one
    evident. ``stated`` is what a line of a folder names itself."""
    found, ignored = ([], []) if landing is None else landing_files(landing)
    _print_some([f"left alone: {one.name}: {one.reason}" for one in ignored])
    for path in events:
        try:
            found.append(one_file(path, "", str(path)))
        except OSError as error:
            raise RefusalError("unreadable_file", f"{path}: {error.strerror}", "--events") from error
    if not found:
        raise RefusalError(
            "no_events", "give event files with --events FILE, or a folder with --landing DIR", "--events"
        )
    parts = []
    for file in found:
        print_note(f"reading {file.name}")
        folder = pl.lit(file.tenant or None, pl.String)
        stated = pl.when(folder.is_not_null()).then("tenant").alias("stated")
        parts.append(
            read_file(file).with_columns(
                pl.coalesce(folder, "tenant").alias("tenant"), stated, pl.lit(file.name).alias("file")
            )
        )
    lines, sentence = with_tenants(pl.concat(parts))
    if sentence:
        print_note(sentence)
    return lines


def read_log(parsed: pl.DataFrame) -> tuple[pl.DataFrame, Tally]:
    """Events as the lake would hold them: valid ones, the first received of each key; what is left out is listed."""
    if parsed.is_empty():
        raise RefusalError("no_events", "the files hold no event: give others with --events FILE", "--events")
    checked = pl.concat(
        [
            judged_lines(part, str(tenant), _FAR_AHEAD)
            for (tenant,), part in parsed.group_by("tenant", maintain_order=True)
        ]
    )
    refused = checked.filter(pl.col("reason").is_not_null()).select("file", "line", "reason", "message")
    good = checked.filter(pl.col("reason").is_null())
    wrong = []
    documents = good.filter(pl.col("type").str.starts_with("billing."), pl.col("data").is_not_null())
    for row in documents.select("file", "line", "type", "tenant", "data").iter_rows(named=True):
        try:
            judge_billing_event(row["type"], row["tenant"], load_exact_json(row["data"]), parse_catalog)
        except RefusalError as refusal:
            wrong.append((row["file"], row["line"], refusal.code, f"{refusal.message} (at {refusal.path})"))
    odd = pl.DataFrame(wrong, schema=refused.schema, orient="row")
    refusals = pl.concat([refused, odd])
    _print_some(
        [f"left out: {file} line {line}: {message} [{reason}]" for file, line, reason, message in refusals.rows()]
    )
    tally = Tally(parsed.height)
    counted = refusals.group_by("reason", maintain_order=True).agg(pl.len(), pl.col("file", "line").first())
    for reason, events, file, line in counted.rows():
        tally.leave_out(reason, events, f"{file} line {line}")
    received = parse_instant(pl.col("raw").str.json_path_match("$.received_at"))
    taken = good.join(odd, on=["file", "line"], how="anti", maintain_order="left").with_columns(
        pl.coalesce(received, "instant").alias("received_at"), pl.lit("").alias("payload_hash")
    )
    log = taken.with_columns(pl.col("instant").alias("time"), pl.col("instant").dt.date().alias("event_date")).sort(
        "received_at", maintain_order=True
    )
    first = log.unique(EVENT_KEY, keep="first", maintain_order=True)
    if first.height < log.height:
        _print_conflicts(log, first, tally)
    return EVENTS.conform(first), tally


def recorded_log(lake: Lake, tenants: list[str]) -> tuple[pl.DataFrame, Tally]:
    """The events that the lake holds, of these tenants (none named: of all): what was received, as it was received.

    Raises:
        RefusalError: ``no_events``.
    """
    events = lake.scan(EVENTS_TABLE)
    chosen = events.filter(pl.col("tenant").is_in(tenants)) if tenants else events
    log = chosen.select(pl.col(name).cast(dtype) for name, dtype in EVENTS.items()).collect()
    if log.is_empty():
        raise RefusalError("no_events", "the lake holds no event of these tenants: ingest some first", "--lake")
    return log.cast({"time": INSTANT}).sort("received_at", maintain_order=True), Tally(log.height)


def _print_conflicts(log: pl.DataFrame, first: pl.DataFrame, tally: Tally) -> None:
    """Say which events came under a key that an earlier one has, with other content."""
    place = ["file", "line"]
    later = log.join(first.select(place), on=place, how="anti", maintain_order="left")
    beside = first.select(*EVENT_KEY, pl.struct(COMPARED_FIELDS).alias("first_event"))
    odd = later.join(beside, on=EVENT_KEY, maintain_order="left").filter(
        pl.struct(COMPARED_FIELDS).ne_missing(pl.col("first_event"))
    )
    conflicts = [row for row in odd.iter_rows(named=True) if not same_payload(row, row["first_event"])]
    _print_some(
        [
            f"left out: {row['file']} line {row['line']}: the id {row['id']!r} of source {row['source']!r} came before "
            "with other content: to change an event send a new id with 'replaces' [conflict]"
            for row in conflicts
        ]
    )
    if conflicts:
        tally.leave_out("conflict", len(conflicts), f"{conflicts[0]['file']} line {conflicts[0]['line']}")
    if later.height > len(conflicts):
        twice = later.join(pl.DataFrame(conflicts, schema=later.schema), on=place, how="anti", maintain_order="left")
        tally.leave_out("duplicate", twice.height, f"{twice['file'][0]} line {twice['line'][0]}")


def _facts(log: pl.DataFrame) -> pl.DataFrame:
    """Billing facts without catalogs: the catalog of the command line holds from the beginning of time."""
    billing = log.filter(pl.col("type").str.starts_with("billing."), pl.col("type") != "billing.catalog.published")
    return resolve_amendments(billing.lazy()).filter(~pl.col("is_void")).select(BILLING_FACTS.names()).collect()


def read_catalog(path: Path, where: str = "--catalog") -> Catalog:
    """The catalog of a file; a refusal names the file too, or the argument (``where``) where there is none."""
    text = read_catalog_text(path, where)
    try:
        return parse_catalog(text)
    except RefusalError as refusal:
        raise refusal.below(str(path)) from refusal


def _print_unread(usage: pl.DataFrame) -> None:
    """Say how many events no meter could read, and why: nothing of them is billed."""
    unread = usage.filter(~pl.col("status").is_in([OK, VOID])).group_by("status", "event_type")
    counted = unread.agg(pl.struct("tenant", "source", "id").n_unique()).sort("status", "event_type")
    _print_some([f"unbilled: {events} events of type {kind}: {status}" for status, kind, events in counted.rows()])


@dataclass(frozen=True)
class SimulationRequest:
    """Which periods (days of each tenant), as known when, billed by which runs; ``whole``: the log is all that was ever
    received."""

    window: tuple[DateOrExpr, DateOrExpr]
    known_at: datetime | None
    runs: tuple[datetime, ...]
    whole: bool = False


def each_tenant(log: pl.DataFrame, tally: Tally, work: Callable[[pl.DataFrame, Tally], T]) -> tuple[T, list[Failure]]:
    """What ``work`` makes of the events of all tenants but those it fails for, whose events are counted as left out."""
    tenants = log["tenant"].unique().to_list()

    def part(chosen: list[str]) -> T:
        rest = log.filter(~pl.col("tenant").is_in(chosen))
        own = tally.also()
        if not rest.is_empty():
            own.leave_out("tenant_failed", rest.height, f"tenant {rest['tenant'][0]}")
        return work(log.filter(pl.col("tenant").is_in(chosen)), own)

    return without_failing(part, tenants)


@dataclass(frozen=True)
class SimulatedInvoice:
    """An invoice's document, and the first and last day of its period where it is billed."""

    document: dict[str, Any]
    days: tuple[date, date]


def simulated(
    log: pl.DataFrame, catalog: Catalog, request: SimulationRequest, tally: Tally
) -> Iterator[SimulatedInvoice]:
    """The invoices of every period that ends in the window under ``catalog``."""
    for billed in _billed(log, catalog, request, tally):
        ordered = billed.invoices.sort(
            "tenant", "close", "customer", "subscription", pl.col("invoice_type") != "period", "period_from", *INVOICE
        )
        dated = ordered.select("period_from", "period_to", "timezone").iter_rows()
        documents = build_invoice_documents(ordered, billed.lines)
        for document, (start, end, zone) in zip(documents, dated, strict=True):
            yield SimulatedInvoice(document, billed_days(start, end, [zone]))


def _billed(log: pl.DataFrame, catalog: Catalog, request: SimulationRequest, tally: Tally) -> Iterator[Billed]:
    """What each run bills in the window; what it leaves out is listed, and at the end how many events were used."""
    history = CatalogHistory.everywhere(catalog, log["tenant"].unique().to_list())
    facts = _facts(log)
    usage = derive_usage(log.lazy(), history).collect()
    _print_unread(usage)
    mine, timeline = tally.also(), None
    booked, rejected = [], []
    for timeline, billed in _runs(facts, history, usage.lazy(), log, request):
        _print_some([f"not applied: {message} [{reason}]" for reason, message in _reasons(billed.rejected)])
        held = billed.problems.select("subscription", "key", "problem").rows()
        _print_some([f"held back: subscription {name}, line {key}: {problem}" for name, key, problem in held])
        booked.append(billed.invoices.filter(pl.col("invoice_type") == "period").select(*_BOOKED))
        rejected += [
            frame.select("tenant", "source", "event_id", "reason") for frame in (timeline.rejected, billed.rejected)
        ]
        yield billed
    if timeline is not None:
        known = request.known_at or max(request.runs, default=None)
        periods = pl.concat(booked).with_columns(pl.lit(known, INSTANT).alias("events_known_at"))
        count_usage(mine, usage, timeline, history, periods)
        count_billing(mine, log, facts, pl.concat(rejected), known)
    for sentence in mine.sentences():
        print_note(sentence)


def _runs(
    facts: pl.DataFrame, history: CatalogHistory, usage: pl.LazyFrame, log: pl.DataFrame, request: SimulationRequest
) -> Iterator[tuple[Timeline, Billed]]:
    """What each run bills; the past before the window is billed too, since invoices depend on earlier ones."""
    named = facts.filter(pl.col("time").dt.year() >= FIRST_YEAR).group_by("tenant")
    firsts = named.agg(pl.col("time").min().dt.date().dt.offset_by("-2d").alias("first"))
    whole = (pl.min_horizontal(request.window[0], _of_tenant(firsts, "first")), request.window[1])
    if not request.whole:
        _print_some(starts_without_customer(facts, _SHOWN))
    if not request.runs:
        timeline = build_timeline(facts, history.plans, request.known_at, holds=request.whole)
        _print_some([f"not applied: {message} [{reason}]" for reason, message in _reasons(timeline.rejected)])
        billed = bill(timeline, history, usage, whole, known_at=request.known_at)
        yield timeline, _within(billed, timeline, request.window)
        return
    books = RecordedInvoices()
    for as_of in sorted(request.runs):
        received = (
            log.filter(pl.col("received_at") <= pl.lit(as_of)).group_by("tenant").agg(pl.col("received_at").max())
        )
        known_at: dict[str, datetime] = dict(received.iter_rows())
        if known_at:
            timeline = build_timeline(facts, history.plans, newest_known_at(known_at), holds=request.whole)
            billed = books.run(timeline, history, usage, facts, whole, known_at=known_at, as_of=as_of)
            print_note(f"run at {as_of:%Y-%m-%d %H:%M}: {billed.invoices.height} invoices finalised")
            yield timeline, _within(billed, timeline, request.window)


def _within(billed: Billed, timeline: Timeline, window: tuple[DateOrExpr, DateOrExpr]) -> Billed:
    """The invoices that belong to the window (``closing_within``), and their lines."""
    selected = closing_within(billed.invoices, timeline.tenants, *window)
    lines = billed.lines.join(selected.select(INVOICE), on=INVOICE, how="semi", maintain_order="left")
    return replace(billed, invoices=selected, lines=lines)


def _of_tenant(frame: pl.DataFrame, name: str) -> pl.Expr:
    """The date in ``frame`` of each row's tenant; null for one that is not in it."""
    return pl.col("tenant").replace_strict(frame["tenant"], frame[name], default=None, return_dtype=pl.Date)


@dataclass(frozen=True)
class Window:
    """Which periods are billed.

    Attributes:
        bounds: periods that end after the first and up to the second, in days of each tenant.
        first, last: the earliest and the latest of them.
        sentence: names them.
    """

    bounds: tuple[DateOrExpr, DateOrExpr]
    first: date
    last: date
    sentence: str


def window_of(log: pl.DataFrame, start: date | None, end: date | None) -> Window:
    """The dates asked for, by default the months of each tenant's own events."""
    days = log.filter(pl.col("event_date").dt.year().is_between(FIRST_YEAR, LAST_YEAR))
    day = pl.col("event_date")
    months = days.group_by("tenant").agg(day.min().dt.month_start().alias("from"), day.max().alias("to"))
    if months.is_empty():
        raise RefusalError("no_events", "no event could be read: see the lines above", "--events")
    own = months.with_columns(pl.lit(start).alias("from")) if start else months
    own = own.with_columns(pl.max_horizontal(pl.col("to").dt.month_start().dt.offset_by("1mo"), "from").alias("to"))
    own = own.with_columns(pl.lit(end).alias("to")) if end else own
    ((first, last),) = own.select(pl.col("from").min(), pl.col("to").max()).rows()
    if first > last:
        raise RefusalError("bad_window", f"--from {first} lies after --to {last}", "--from")
    own = own.with_columns(pl.min_horizontal("from", "to").alias("from"))
    sentence = f"simulating periods that end after {first} and up to {last}"
    if own.select("from", "to").n_unique() > 1:
        sentence += ", of each tenant in the months of its own events"
    return Window((start or _of_tenant(own, "from"), end or _of_tenant(own, "to")), first, last, sentence)


def difference(
    log: pl.DataFrame,
    catalog: Catalog,
    other: Catalog,
    request: SimulationRequest,
    tally: Tally,
    halfway: Callable[[], object] = lambda: None,
) -> list[dict[str, Any]]:
    """Money diff per customer and currency, then in all: what the second catalog bills more (or less).

    ``halfway`` is called once the first catalog is billed.
    """
    first = _totals(log, catalog, request, tally)
    halfway()
    print_note("and under the catalog that it is compared with:")
    both = first.join(
        _totals(log, other, request, tally).rename({"total": "compared_total"}), on=_PAYER, how="full", coalesce=True
    ).with_columns(pl.col("total", "compared_total").fill_null(0))
    # A total in all of one currency stands below the customers, and names none.
    whole = both.group_by("currency").agg(pl.col("total", "compared_total").sum())
    nobody = (pl.lit(None, pl.String).alias(name) for name in ("tenant", "customer"))
    rows = pl.concat([both.sort(_PAYER), whole.sort("currency").with_columns(*nobody).select(both.columns)])
    return [
        _in_major(row) for row in rows.with_columns(difference=pl.col("compared_total") - pl.col("total")).to_dicts()
    ]


def _in_major(row: dict[str, Any]) -> dict[str, Any]:
    places = minor_units(row["currency"])
    return row | {name: minor_text(row[name], places) for name in ("total", "compared_total", "difference")}


def _totals(log: pl.DataFrame, catalog: Catalog, request: SimulationRequest, tally: Tally) -> pl.DataFrame:
    """_PAYER and the total of all their invoices in minor units."""
    columns = [*_PAYER, pl.col("total_minor").alias("total")]
    billed = [one.invoices.select(columns) for one in _billed(log, catalog, request, tally)]
    empty = pl.DataFrame(schema={**dict.fromkeys(_PAYER, pl.String), "total": pl.Int64})
    return pl.concat([empty, *billed]).group_by(_PAYER).agg(pl.col("total").sum())
