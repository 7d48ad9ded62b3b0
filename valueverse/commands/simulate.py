"""``valueverse simulate``: any catalog against any past, from files alone, by the engine that bills."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl

    from valueverse.catalog.document import Catalog
    from valueverse.subscriptions.timeline import Timeline

_DEFAULT_TENANT = "tenant"
"""Tenant of events that name none."""
_SHOWN = 20
_FAR_AHEAD = datetime(9000, 1, 1, tzinfo=UTC)


def _tell(message: str) -> None:
    sys.stderr.write(f"{message}\n")


def _tell_some(messages: list[str]) -> None:
    """The first of them, and how many more there are."""
    for message in messages[:_SHOWN]:
        _tell(message)
    if len(messages) > _SHOWN:
        _tell(f"... and {len(messages) - _SHOWN} more")


def _rejected(timeline: Timeline) -> list[tuple[str, str]]:
    return timeline.rejected.select("reason", "message").rows()


def _parsed(events: list[Path], landing: Path | None) -> pl.DataFrame:
    """The lines of all files, with the tenant that each names, else its folder's, else a default."""
    import polars as pl

    from valueverse.landing import LandingFile, content_hash, landing_files, read_file

    found = [] if landing is None else landing_files(landing)
    for path in events:
        try:
            found.append(LandingFile(_DEFAULT_TENANT, str(path), path, content_hash(path), path.stat().st_size))
        except OSError as error:
            raise RefusalError("unreadable_file", f"{path}: {error.strerror}", "--events") from error
    if not found:
        raise RefusalError(
            "no_events", "give event files with --events FILE, or a folder with --landing DIR", "--events"
        )
    parts = []
    for file in found:
        _tell(f"reading {file.name}")
        named = pl.coalesce("tenant", pl.lit(file.tenant)).alias("tenant")
        parts.append(read_file(file).with_columns(named, pl.lit(file.name).alias("file")))
    return pl.concat(parts)


def _log(parsed: pl.DataFrame) -> pl.DataFrame:
    """Events as the lake would hold them: valid ones, the first received of each key; what is left out is told."""
    import polars as pl

    from valueverse.catalog.document import parse_catalog
    from valueverse.events.billing_events import judge_billing_event
    from valueverse.events.identity import KEY
    from valueverse.events.schema import EVENTS, INSTANT
    from valueverse.events.strict import loads
    from valueverse.events.validation import instant_of, validate

    checked = pl.concat(
        [validate(part, str(tenant), _FAR_AHEAD) for (tenant,), part in parsed.group_by("tenant", maintain_order=True)]
    )
    refused = checked.filter(pl.col("reason").is_not_null()).select("file", "line", "reason", "message")
    good = checked.filter(pl.col("reason").is_null())
    wrong = []
    documents = good.filter(pl.col("type").str.starts_with("billing."), pl.col("data").is_not_null())
    for row in documents.select("file", "line", "type", "tenant", "data").iter_rows(named=True):
        try:
            judge_billing_event(row["type"], row["tenant"], loads(row["data"]), parse_catalog)
        except RefusalError as refusal:
            wrong.append((row["file"], row["line"], refusal.code, f"{refusal.message} (at {refusal.path})"))
    odd = pl.DataFrame(wrong, schema=refused.schema, orient="row")
    _tell_some(
        [
            f"left out: {file} line {line}: {message} [{reason}]"
            for file, line, reason, message in pl.concat([refused, odd]).rows()
        ]
    )
    received = instant_of(pl.col("raw").str.json_path_match("$.received_at"))
    taken = good.join(odd, on=["file", "line"], how="anti", maintain_order="left").with_columns(
        pl.coalesce(received, "instant").alias("received_at"), pl.lit("").alias("payload_hash")
    )
    log = taken.with_columns(pl.col("instant").alias("time"), pl.col("instant").dt.date().alias("event_date")).sort(
        "received_at", maintain_order=True
    )
    return (
        log.unique(KEY, keep="first", maintain_order=True)
        .select(pl.col(name).cast(dtype) for name, dtype in EVENTS.items())
        .cast({"time": INSTANT})
    )


def _facts(log: pl.DataFrame) -> pl.DataFrame:
    """Billing facts without catalogs: the catalog of the command line holds from the beginning of time."""
    import polars as pl

    from valueverse.events.amendments import resolve_amendments
    from valueverse.events.schema import BILLING_FACTS

    billing = log.filter(pl.col("type").str.starts_with("billing."), pl.col("type") != "billing.catalog.published")
    return resolve_amendments(billing.lazy()).filter(~pl.col("is_void")).select(BILLING_FACTS.names()).collect()


def _read_catalog(path: Path) -> Catalog:
    from valueverse.catalog.document import parse_catalog

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RefusalError("unreadable_file", f"{path}: {error}", "--catalog") from error
    try:
        return parse_catalog(text)
    except RefusalError as refusal:
        raise refusal.below(str(path)) from refusal


def _simulated(
    log: pl.DataFrame, catalog: Catalog, window: tuple[date, date], known_at: datetime | None
) -> Iterator[dict[str, Any]]:
    """The invoice documents of every period that ends in the window under ``catalog``."""
    import polars as pl

    from valueverse.catalog.history import CatalogHistory
    from valueverse.invoicing.assemble import documents
    from valueverse.invoicing.engine import bill
    from valueverse.metering.usage import derive_usage
    from valueverse.subscriptions.timeline import build_timeline

    history = CatalogHistory.everywhere(catalog, log["tenant"].unique().to_list())
    timeline = build_timeline(_facts(log), history.plans, known_at)
    _tell_some([f"not applied: {message} [{reason}]" for reason, message in _rejected(timeline)])
    usage = derive_usage(log.lazy(), history).collect().lazy()
    billed = bill(timeline, history, usage, window, known_at=known_at)
    for subscription, key, problem in billed.problems.select("subscription", "key", "problem").iter_rows():
        _tell(f"held back: subscription {subscription}, line {key}: {problem}")
    ordered = billed.invoices.sort("tenant", "close", "customer", "subscription", pl.col("purpose") != "period")
    yield from documents(ordered, billed.lines)


def _day(text: str | None, option: str) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise RefusalError("bad_date", f"{text!r} is not a date like 2024-01-31", option) from error


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise RefusalError("bad_time", f"{text!r} is not an RFC 3339 time", "--known-at") from error
    if moment.tzinfo is None:
        raise RefusalError("bad_time", f"{text!r} has no offset: end it with Z or +00:00", "--known-at")
    return moment.astimezone(UTC)


def _window(log: pl.DataFrame, start: date | None, end: date | None) -> tuple[date, date]:
    """The dates asked for; by default the months that the events lie in."""
    first, last = log["event_date"].min(), log["event_date"].max()
    if not isinstance(first, date) or not isinstance(last, date):
        raise RefusalError("no_events", "no event could be read: see the lines above", "--events")
    beginning = start or first.replace(day=1)
    following = date(last.year + last.month // 12, last.month % 12 + 1, 1)
    window = (beginning, end or max(following, beginning))
    if window[0] > window[1]:
        raise RefusalError("bad_window", f"--from {window[0]} lies after --to {window[1]}", "--from")
    return window


def _difference(base: list[dict[str, Any]], other: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Money diff per customer and currency, then in all: what the second catalog bills more (or less)."""
    sums: dict[tuple[str | None, str | None, str], list[Decimal]] = {}
    for place, side in enumerate((base, other)):
        for document in side:
            for who in ((document["tenant"], document["customer"]), (None, None)):
                key = (*who, document["currency"])
                sums.setdefault(key, [Decimal(0), Decimal(0)])[place] += Decimal(document["total"])
    return [
        {
            "tenant": tenant,
            "customer": customer,
            "currency": currency,
            "total": format(one, "f"),
            "compared_total": format(two, "f"),
            "difference": format(two - one, "f"),
        }
        for (tenant, customer, currency), (one, two) in sorted(
            sums.items(), key=lambda item: (item[0][0] is None, item[0][0] or "", item[0][1] or "", item[0][2])
        )
    ]


def _chart(rows: list[dict[str, Any]]) -> None:
    """The largest differences as bars, for people; standard error, so that a pipe stays clean."""
    import plotext

    largest = sorted(
        (row for row in rows if row["customer"] is not None), key=lambda row: -abs(Decimal(row["difference"]))
    )[:20]
    if not largest or not sys.stderr.isatty():
        return
    names = [f"{row['customer']} {row['currency']}" for row in largest]
    plotext.simple_bar(names, [float(row["difference"]) for row in largest], title="difference per customer")
    _tell(plotext.build())


def register(app: typer.Typer) -> None:
    """Add ``simulate`` to the command line."""

    @app.command("simulate")
    def simulate(  # noqa: PLR0917 - the options of the public contract
        catalog: Annotated[Path, typer.Option("--catalog", help="Catalog (YAML or JSON) that holds for every tenant.")],
        events: Annotated[list[Path] | None, typer.Option("--events", help="Event file; may be given again.")] = None,
        more: Annotated[list[Path] | None, typer.Argument(help="Further event files.")] = None,
        landing: Annotated[Path | None, typer.Option("--landing", help="Landing folder: DIR/<tenant>/files.")] = None,
        start: Annotated[str | None, typer.Option("--from", help="Periods that end after this date ...")] = None,
        end: Annotated[str | None, typer.Option("--to", help="... and up to this one, tenant-local days.")] = None,
        known_at: Annotated[str | None, typer.Option("--known-at", help="As known at this RFC 3339 time.")] = None,
        compare: Annotated[
            Path | None, typer.Option("--compare", help="A second catalog: print the money diff.")
        ] = None,
    ) -> None:
        """Bill past events under a catalog: invoice documents out, one JSON object per line. Needs no server.

        [dim]valueverse simulate --catalog new.yaml --events november.ndjson --from 2023-11-01 --to 2023-12-01[/dim]
        """
        import json

        chosen, other = _read_catalog(catalog), None if compare is None else _read_catalog(compare)
        log = _log(_parsed([*(events or []), *(more or [])], landing))
        window = _window(log, _day(start, "--from"), _day(end, "--to"))
        moment = _instant(known_at)
        _tell(f"simulating periods that end after {window[0]} and up to {window[1]}")
        found = list(_simulated(log, chosen, window, moment))
        if other is not None:
            rows = _difference(found, list(_simulated(log, other, window, moment)))
            _chart(rows)
            found = rows
        for document in found:
            sys.stdout.write(json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n")
