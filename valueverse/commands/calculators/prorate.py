"""``valueverse prorate``: the share of a period's amount that a part of it owes, or gets back."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, localcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from valueverse.commands.calculators.time_ranges import known_fields, read_window
from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime

Document = dict[str, Any]
Window = tuple["datetime", "datetime"]

BASES = ("day", "second", "30_day")
_DIGITS = 60
_FIELDS = ("id", "amount", "currency", "period", "used", "timezone", "basis", "credit")
_MICROSECONDS_PER_DAY = 86_400_000_000


@dataclass(frozen=True)
class _Measure:
    """Used and full length in one measure, and how many of it make a day."""

    used: int
    full: int
    per_day: int = 1


def _local_day(written: Any, moment: datetime, zone: str) -> date:
    """The local date; a bare date is its own, also where its zone skipped that day."""
    from datetime import date

    import polars as pl

    if len(written) == len("2026-01-31"):
        return date.fromisoformat(written)
    # Polars' own zones, as the engine uses them: another copy of the tz database could differ.
    local = pl.Series([moment], dtype=pl.Datetime("us", "UTC")).dt.convert_time_zone(zone).dt.date()
    found: date = local.item()
    return found


def _measure(document: Document, zone: str, basis: str) -> _Measure:
    from valueverse.subscriptions.proration import days_30_360

    windows: dict[str, Window] = {
        name: read_window(document.get(name), zone, name, may_be_empty=name == "used") for name in ("period", "used")
    }
    (start, end), (first, last) = windows["period"], windows["used"]
    if first < start or last > end:
        side = "from" if first < start else "to"
        raise RefusalError("outside_period", f"used.{side} lies outside period: used is a part of it", f"used.{side}")
    if basis == "second":
        from datetime import timedelta

        tick = timedelta(microseconds=1)
        return _Measure((last - first) // tick, (end - start) // tick, _MICROSECONDS_PER_DAY)
    days = {
        name: [
            _local_day(document[name][side], moment, zone) for side, moment in zip(("from", "to"), pair, strict=True)
        ]
        for name, pair in windows.items()
    }
    used, full = (
        days_30_360(*days[name]) if basis == "30_day" else (days[name][1] - days[name][0]).days
        for name in ("used", "period")
    )
    if full <= 0:
        message = f"period holds no whole day on the basis {basis!r}: use 'second', or a longer period"
        raise RefusalError("bad_window", message, "period")
    return _Measure(used, full)


def _capped(amount: Decimal, value: Any) -> Decimal:
    """max(0, min(amount, billed - credited)); the amount itself where no credit is asked for."""
    from valueverse.money import exact

    if value is None:
        return amount
    if not isinstance(value, dict):
        raise RefusalError("bad_credit", "credit must be an object with 'billed' and 'credited'", "credit")
    known_fields(value, ("billed", "credited"), "credit")
    if value.get("billed") is None:
        raise RefusalError("missing_field", "credit.billed is missing: what was billed for the period", "credit.billed")
    billed = exact(value["billed"], "credit.billed")
    credited = exact(value.get("credited", Decimal(0)), "credit.credited")
    # Python takes off at 28 digits by default; an amount has up to 38.
    with localcontext(prec=_DIGITS):
        left = billed - credited
    return max(Decimal(0), min(amount, left))


def _answer(document: Document) -> Document:
    from valueverse.money import amount_text, exact, minor_units, plain
    from valueverse.services.instants import read_time_zone
    from valueverse.subscriptions.proration import factor, prorated

    known_fields(document, _FIELDS)
    if document.get("amount") is None:
        raise RefusalError("missing_field", "amount is missing: the amount of the whole period", "amount")
    amount = exact(document["amount"], "amount")
    currency = document.get("currency", "USD")
    if not isinstance(currency, str):
        raise RefusalError("unknown_currency", f"{str(currency)[:40]!r} is not a currency code", "currency")
    minor_units(currency)
    basis = document.get("basis", "day")
    if basis not in BASES:
        raise RefusalError("unknown_basis", f"basis is one of {', '.join(BASES)}, not {str(basis)[:40]!r}", "basis")
    measure = _measure(document, read_time_zone(document.get("timezone")), basis)
    share = _capped(prorated(amount, measure.used, measure.full), document.get("credit"))
    return {
        "amount": plain(share),
        "amount_rounded": amount_text(share, currency),
        "factor": plain(factor(measure.used, measure.full)),
        "days": plain(factor(measure.used, measure.per_day)),
    }


def answer(documents: list[Document]) -> Iterable[Document | RefusalError]:
    """One answer or refusal per document, in order."""
    answers: list[Document | RefusalError] = []
    for document in documents:
        try:
            answers.append(_answer(document))
        except RefusalError as refusal:
            answers.append(refusal)
    return answers


def register(app: typer.Typer) -> None:
    """Add ``prorate`` to the command line."""

    @app.command("prorate")
    def prorate(
        file: Annotated[
            Path | None, typer.Option("--file", help="Read lines from this file instead of standard input.")
        ] = None,
    ) -> None:
        r"""Prorate an amount: one JSON object per line in, one per line out.

        [bold]In[/bold]: amount, currency, period {from, to}, used {from, to} inside it, timezone; basis day (local
        calendar days), second or 30_day (30E/360); optional credit {billed, credited}, which caps the amount.
        [bold]Out[/bold]: amount (precise), amount_rounded, factor, days used (with second: elapsed time / 24 hours).

        [dim]printf '{"id":"a","amount":"31","period":{"from":"2026-01-01","to":"2026-02-01"},
        "used":{"from":"2026-01-11","to":"2026-02-01"}}\n' | valueverse prorate[/dim]
        """
        from valueverse.commands.calculators.ndjson import run_calculator

        raise typer.Exit(run_calculator(answer, file))
