"""``valueverse explain`` for people: the answers of ``explain`` in sentences, built from the same data."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.catalog import Bucketed, Capacity, Matrix
from valueverse.invoicing import line_buckets, line_quantities, plan_at
from valueverse.invoicing.rendering import (
    ExplainedInvoice,
    ExplainedLine,
    LineFacts,
    LocaleFormats,
    OtherLine,
    agreeing,
)
from valueverse.money import minor_text, minor_units
from valueverse.schemas.dimensions import dimensions_text
from valueverse.services.billing.explain import FoundInvoice, answer_of, find_lines, store_of
from valueverse.services.billing.explained_corrections import parts_of, price_models
from valueverse.services.billing.invoices import find_invoice
from valueverse.services.event_tally import MEANINGS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import psycopg

    from valueverse.platform.lake import Lake

_MOMENT = timedelta(microseconds=1)
_COUNTS_NO_MORE = "It is a billing event that counts no more"
_NO_LINE = {
    "billing_event": "It is a billing event and was applied: it is no usage, so no line counts it.",
    "not_derived_yet": "No run has derived its usage yet: the next run does.",
}


@dataclass(frozen=True)
class InvoiceExplanation:
    """An invoice in sentences.

    Attributes:
        heading: whose it is, over which days, and its status.
        basis: what was known when it was made, and how it was rounded.
        lines: each with the same line as data (``explain_invoice``).
        totals: label and amount; empty where only some lines were asked for.
    """

    heading: str
    basis: str
    lines: list[tuple[ExplainedLine, dict[str, Any]]]
    totals: list[tuple[str, str]]


def invoice_in_sentences(
    connection: psycopg.Connection[Any], lake: Lake, number: str, line: str | None, limit: int
) -> InvoiceExplanation:
    """The sentences of an invoice; ``line``: only of lines with this key, ``limit``: events listed of each.

    Args:
        connection: the builder's.
        lake: where the events are.
        number, line, limit: see above.

    Raises:
        RefusalError: as ``find_lines``.
    """
    store = store_of(connection, number)
    found, stored = find_lines(store, lake, number, line), find_invoice(connection, number)
    shown = ExplainedInvoice(stored.document, json.loads(stored.catalog or "null"), stored.parties.zones)
    answers = answer_of(store, found, limit)["lines"]
    lines = list(zip(lines_in_sentences(found, shown), answers, strict=True))
    return InvoiceExplanation(shown.heading(), shown.basis(), lines, [] if line else shown.totals())


def lines_in_sentences(found: FoundInvoice, shown: ExplainedInvoice) -> list[ExplainedLine]:
    """The sentences of the lines that were found of the invoice that is shown."""
    frames = _frames(found)
    return [shown.line(one, _facts(found, one, frames)) for one in found.lines]


def _others(found: FoundInvoice, link: str, line: dict[str, Any]) -> list[OtherLine]:
    places = minor_units(found.document["currency"])
    return [
        OtherLine(
            row["number"],
            row["status"],
            row["issued_on"],
            minor_text(row["amount_minor"], places),
            row["event_count"],
            row["quantity"] or Decimal(0),
        )
        for row in found.related_to(link, line)
    ]


def _is_last(found: FoundInvoice, line: dict[str, Any]) -> bool:
    """Whether a line is the last one of its key and dimensions: corrections are of all of these together."""
    alike: list[int] = [
        one["line_no"]
        for one in found.lines
        if (one["key"], one["dimensions"]) == (line["key"], line["dimensions"]) and one["kind"] != "adjustment"
    ]
    return bool(alike) and line["line_no"] == alike[-1]


_Frames = dict[type, pl.DataFrame]


def _frames(found: FoundInvoice) -> _Frames:
    """What prices of several meters, by dimensions, or by hours and days are made of; empty where the period goes
    on."""
    prices = price_models(found.context)
    frames: _Frames = {}
    if not found.ongoing and prices & {Capacity, Matrix}:
        frames |= dict.fromkeys((Capacity, Matrix), line_quantities(found.period, found.context))
    if not found.ongoing and Bucketed in prices:
        frames[Bucketed] = line_buckets(found.period, found.context)
    return frames


def _rows_of(line: dict[str, Any], frame: pl.DataFrame | None) -> pl.DataFrame:
    """The rows of a usage line."""
    if frame is None or line["kind"] != "usage":
        return pl.DataFrame()
    label = dimensions_text(line["dimensions"]) if line["dimensions"] else ""
    begins, ends = (datetime.fromisoformat(line["service_period"][name]) for name in ("from", "to"))
    named = [pl.col("key") == line["key"], pl.col("label") == label, pl.col("from") == begins, pl.col("to") == ends]
    return frame.filter(*named, pl.col("quantity").is_not_null())


def _facts(found: FoundInvoice, line: dict[str, Any], frames: _Frames) -> LineFacts:
    correction = found.corrections.get(line["line_no"])
    usage = line["kind"] == "usage"
    close = datetime.fromisoformat(found.document["period"]["to"])
    begins, ends = (datetime.fromisoformat(line["service_period"][name]) for name in ("from", "to"))
    subscription = found.document["subscription"]
    # What is given back of a fee was billed by the plan that ended then.
    at = begins - _MOMENT if line["kind"] == "fee" and Decimal(line["amount"]) < 0 else begins
    events = found.events_of(line) if usage else found.events.clear()
    whole = usage and found.is_reproduced(line) and not events["value"].null_count()
    return LineFacts(
        plan=plan_at(found.context, found.tenant, subscription, at) if subscription else None,
        days=found.days.get((begins, ends)),
        values=events["value"].to_list() if whole else (),
        parts=parts_of(line, parts) if (parts := _rows_of(line, frames.get(Matrix))).height else (),
        buckets=[(row["quantity"], row["minute"]) for row in _rows_of(line, frames.get(Bucketed)).to_dicts()],
        late_events=events.filter(pl.col("received_at") >= close).height,
        before=_others(found, "before", line) if usage else [],
        in_parts=any(row["link"] == "before" for row in found.related),
        ongoing=found.ongoing,
        corrections=_others(found, "correction", line) if _is_last(found, line) else [],
        correction=None if correction is None else correction.reasons,
    )


def event_in_sentences(answer: Mapping[str, Any]) -> list[str]:
    """One answer of ``explain_event``: what the event is, what became of it, and where it is billed."""
    waits = [_waiting(one) for one in answer.get("waiting", ())]
    if answer["outcome"] == "waiting":
        return waits
    if answer["outcome"] == "quarantined":
        where = f"{answer['file']} line {answer['line']}"
        return [f"It was not taken from {where}: {answer['message']} ({answer['reason']}).", *waits]
    received = f"Of type {answer['type']}, {answer['time']}; received {answer['received_at']}"
    found = [f"{received} from {answer['file']} line {answer['line']}." if answer["file"] else f"{received}."]
    if answer["amends"] and "awaits" not in answer:
        found.append(f"It {'voids' if answer['voids'] else 'amends'} the event {answer['amends']}.")
    if answer["conflicts"]:
        count = len(answer["conflicts"])
        found.append(f"{count:,} more with this id and other content {agreeing(count, 'was', 'were')} quarantined.")
    found += [_awaits(answer)] if "awaits" in answer else _outcome(answer)
    return found + waits


def _waiting(one: Mapping[str, Any]) -> str:
    came = f"It came by the API at {one['received_at']} and waits for the next ingestion"
    if one["status"] == "accepted":
        return f"{came}, which takes it."
    return f"{came}, which does not take it: {one['message']} ({one['reason']})."


def _awaits(answer: Mapping[str, Any]) -> str:
    done, then = ("voids", "voids it") if answer["voids"] else ("amends", "takes its place")
    what = f"It {done} the event {answer['awaits']} of source {answer['source']}, which is not known"
    return f"{what}: nothing has changed. If that event is received, this one {then}; check the id in 'replaces'."


def _outcome(answer: Mapping[str, Any]) -> list[str]:
    outcome = answer["outcome"]
    if "replaced_by" in answer:
        by = answer["replaced_by"]
        done = f"{'voided' if by['voids'] else 'replaced'} by the event {by['id']}, received {by['received_at']}"
        what = f"No line bills it, {answer['reason']}" if outcome == "unbilled" else _COUNTS_NO_MORE
        return [f"{what}: {done}."]
    if outcome == "rejected":
        return [f"It could not be applied: {answer['message']} ({answer['reason']})."]
    if outcome == "unbilled":
        reason = answer["reason"]
        meaning = f": {MEANINGS[reason]}" if reason in MEANINGS else ""
        if answer.get("voids"):
            meaning = ": what voids another event counts nothing itself"
        return [f"No line bills it, {reason}{meaning}."] if reason != "not_derived_yet" else [_NO_LINE[reason]]
    if outcome != "billed":
        return [_NO_LINE[outcome]]
    return [_line(one) for one in answer["lines"]] or [_without_line(answer)]


def _without_line(answer: Mapping[str, Any]) -> str:
    if "changes_nothing_of" in answer:
        invoice = answer["changes_nothing_of"]
        return f"It was received after {invoice} was made. It is counted and changes no amount, so no line shows it."
    return "It is billed when its period closes: no invoice has its line yet."


def _line(one: Mapping[str, Any]) -> str:
    amount = minor_text(one["amount_minor"], minor_units(one["currency"]))
    shown = f"{LocaleFormats('en', one['currency'], ()).amount(amount)} {one['currency']}"
    on = f"on {one['invoice'] or 'a draft'} ({one['status']})"
    line = one["line"] if one["name"] == one["line"] else f"{one['name']} (line {one['line']})"
    if one["kind"] == "adjustment":
        return f"It is part of a correction of {line} by {shown} {on}."
    return f"It is counted in {line}, {shown} in all, {on}."
