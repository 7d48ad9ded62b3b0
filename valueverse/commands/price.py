"""``valueverse price``: what a price makes of a quantity. The engine is the one that bills."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from valueverse.catalog.prices import ChargePricing
    from valueverse.rating.engine import Rated

Document = dict[str, Any]

PRICING = ("price", "convert", "included", "discount_percent", "minimum", "maximum")
KNOWN = (
    "id", *PRICING, "quantity", "events", "quantities", "buckets", "prorated_quantity", "currency", "proration",
    "billed_before", "final", "dimensions", "rounding",
)  # fmt: skip
_QUANTITY_LIMIT = Decimal(10) ** 12
_MODES = ("half_up", "half_even", "up", "down")
_LEVELS = ("line", "tier", "invoice")


class _Case:
    """One line of input, judged: its pricing and its rows of the engine's frames."""

    def __init__(self, document: Document) -> None:
        from valueverse.catalog.prices import parse_pricing
        from valueverse.money import minor_units

        _only_known(document)
        self.pricing: ChargePricing = parse_pricing({key: document[key] for key in PRICING if key in document})
        self.currency = document.get("currency", "USD")
        if not isinstance(self.currency, str):
            raise RefusalError("unknown_currency", f"{self.currency!r} is not a currency code", "currency")
        self.decimals = minor_units(self.currency)
        self.mode, self.level = _rounding(document)
        self.events: list[Document] = []
        self.quantities: list[Document] = []
        self.buckets: list[Document] = []
        prorated = self._read_usage(document)
        self.row = {
            "quantity": self.quantity,
            "prorated_quantity": prorated,
            "decimals": self.decimals,
            **_proration(document),
            **_billed_before(document),
            "final": _boolean(document, "final", default=True),
        }

    def _read_usage(self, document: Document) -> Decimal | None:
        """Fill quantity, events, quantities or buckets; give the prorated quantity, if any."""
        model = self.pricing.price.model
        if model == "outcome":
            raise RefusalError("not_priced_here", "an outcome is priced from realised value: see `valueverse value`", "price")
        given = [name for name in ("quantity", "events", "quantities", "buckets") if name in document]
        if len(given) != 1:
            said = f"not {' and '.join(given)} together" if given else "none is there"
            raise RefusalError(
                "missing_quantity", f"give one of 'quantity', 'events', 'quantities' or 'buckets': {said}", ""
            )
        prorated = _number(document, "prorated_quantity")
        match given[0]:
            case "quantity":
                self.quantity = _required(document["quantity"], "quantity")
                self._place_in_matrix(document)
            case "events":
                prorated = self._read_events(document["events"]) if prorated is None else prorated
            case "quantities":
                self._read_quantities(document["quantities"])
            case _:
                self._read_buckets(document["buckets"])
        if abs(self.quantity) >= _QUANTITY_LIMIT:
            raise RefusalError("out_of_range", "the quantity must stay below 10^12", given[0])
        return prorated

    def _place_in_matrix(self, document: Document) -> None:
        if "dimensions" in document:
            self.events = [
                {"value": self.quantity, "dimensions": _dimensions(self.pricing, document["dimensions"], "dimensions")}
            ]

    def _read_events(self, events: object) -> Decimal | None:
        if not isinstance(events, list):
            raise RefusalError("malformed", "'events' must be a list of objects", "events")
        rows = [_event(event, self.pricing, f"events[{place}]") for place, event in enumerate(events)]
        if any(row["time"] is not None for row in rows):
            for place, row in enumerate(rows):
                if row["time"] is None:
                    raise RefusalError("bad_time", "either every event has a time, or none", f"events[{place}].time")
            rows.sort(key=lambda row: row["time"])
        self.events = [{key: value for key, value in row.items() if key != "time"} for row in rows]
        self.quantity = sum((row["value"] for row in rows), Decimal(0))
        parts = [row["prorated"] for row in rows]
        if all(part is None for part in parts):
            return None
        for row in self.events:
            row["prorated"] = row["value"] if row["prorated"] is None else row["prorated"]
        return sum((row["prorated"] for row in self.events), Decimal(0))

    def _read_quantities(self, quantities: object) -> None:
        if self.pricing.price.model != "capacity" or not isinstance(quantities, dict):
            raise RefusalError("malformed", "'quantities' is an object of meter: number, for a capacity price", "quantities")
        self.quantity = Decimal(0)
        self.quantities = [
            {"meter": str(meter), "quantity": _required(value, f"quantities.{meter}")}
            for meter, value in quantities.items()
        ]

    def _read_buckets(self, buckets: object) -> None:
        if self.pricing.price.model != "bucketed" or not isinstance(buckets, list):
            raise RefusalError("malformed", "'buckets' is a list, for a bucketed price", "buckets")
        self.buckets = [_bucket(bucket, f"buckets[{place}]") for place, bucket in enumerate(buckets)]
        self.quantity = sum((bucket["quantity"] for bucket in self.buckets), Decimal(0))


def _only_known(document: Document) -> None:
    import difflib

    for name in document:
        if name not in KNOWN:
            near = difflib.get_close_matches(name, KNOWN, n=1)
            hint = f": did you mean {near[0]!r}?" if near else f"; known are: {', '.join(KNOWN)}"
            raise RefusalError("unknown_field", f"unknown field {name!r}{hint}", name)
    if "price" not in document:
        raise RefusalError("missing_price", "give 'price': an object with 'model'", "price")


def _required(value: object, path: str) -> Decimal:
    from valueverse.money import exact

    number = exact(value, path)
    if abs(number) >= _QUANTITY_LIMIT:
        raise RefusalError("out_of_range", f"{value} must stay below 10^12", path)
    return number


def _number(document: Document, name: str) -> Decimal | None:
    return None if document.get(name) is None else _required(document[name], name)


def _boolean(document: Document, name: str, *, default: bool) -> bool:
    value = document.get(name, default)
    if not isinstance(value, bool):
        raise RefusalError("malformed", f"{name!r} is true or false", name)
    return value


def _object(document: Document, name: str, fields: tuple[str, ...]) -> Document | None:
    value = document.get(name)
    if value is None:
        return None
    if not isinstance(value, dict) or not set(value) <= set(fields):
        raise RefusalError("malformed", f"{name!r} is an object with {' and '.join(fields)}", name)
    return value


def _rounding(document: Document) -> tuple[str, str]:
    policy = _object(document, "rounding", ("mode", "level")) or {}
    mode, level = policy.get("mode", "half_up"), policy.get("level", "line")
    if mode not in _MODES:
        raise RefusalError("bad_rounding", f"mode {mode!r} is none of {', '.join(_MODES)}", "rounding.mode")
    if level not in _LEVELS:
        raise RefusalError("bad_rounding", f"level {level!r} is none of {', '.join(_LEVELS)}", "rounding.level")
    return mode, level


def _proration(document: Document) -> Document:
    proration = _object(document, "proration", ("days", "of"))
    if proration is None:
        return {"used_days": None, "full_days": None}
    days, of = (_required(proration.get(name), f"proration.{name}") for name in ("days", "of"))
    if days != int(days) or of != int(of) or not 0 <= days <= of or of < 1:
        raise RefusalError("bad_proration", "days and of are whole numbers with 0 <= days <= of and of >= 1", "proration")
    return {"used_days": int(days), "full_days": int(of)}


def _billed_before(document: Document) -> Document:
    from valueverse.money import exact

    before = _object(document, "billed_before", ("quantity", "amount"))
    if before is None:
        return {"billed_quantity": Decimal(0), "billed_amount": Decimal(0)}
    return {
        "billed_quantity": _required(before.get("quantity", Decimal(0)), "billed_before.quantity"),
        "billed_amount": exact(before.get("amount", Decimal(0)), "billed_before.amount"),
    }


def _event(event: object, pricing: ChargePricing, path: str) -> Document:
    if not isinstance(event, dict):
        raise RefusalError("malformed", "an event is an object with 'value'", path)
    price = pricing.price
    amount = None
    if price.model == "dynamic" and price.amount is not None:
        amount = _required(_at(event.get("data"), price.amount, path), f"{path}.data.{price.amount}")
    if "value" not in event and amount is None:
        raise RefusalError("missing_value", "an event needs 'value': the units it carries", f"{path}.value")
    dimensions = event.get("dimensions", event.get("data") or {})
    return {
        "value": _required(event.get("value", Decimal(1)), f"{path}.value"),
        "prorated": None if event.get("prorated") is None else _required(event["prorated"], f"{path}.prorated"),
        "amount": amount,
        "dimensions": _dimensions(pricing, dimensions, f"{path}.dimensions"),
        "time": _time(event.get("time"), f"{path}.time"),
    }


def _at(data: object, dotted: str, path: str) -> object:
    found = data
    for name in dotted.split("."):
        if not isinstance(found, dict) or name not in found:
            raise RefusalError("no_value", f"the event's data has no {dotted!r}", f"{path}.data")
        found = found[name]
    return found


def _dimensions(pricing: ChargePricing, values: object, path: str) -> str:
    from pydantic_core import PydanticCustomError

    from valueverse.catalog.base import dimension_text
    from valueverse.rating.book import dimensions_json

    if not isinstance(values, dict):
        raise RefusalError("malformed", "'dimensions' is an object of name: value", path)
    try:
        named = {name: dimension_text(values[name]) for name in pricing.price.dimensions_named() if name in values}
    except PydanticCustomError as error:
        raise RefusalError("malformed", error.message(), path) from error
    return dimensions_json(named)


def _time(value: object, path: str) -> datetime | None:
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError as error:
        raise RefusalError("bad_time", f"{value!r} is not an RFC 3339 time like 2024-01-31T00:00:00Z", path) from error
    if moment.tzinfo is None:
        raise RefusalError("bad_time", f"{value!r} has no offset: end it with Z or +00:00", path)
    return moment


def _bucket(bucket: object, path: str) -> Document:
    if not isinstance(bucket, dict):
        return {"quantity": _required(bucket, path), "minute": None}
    quantity = _required(bucket.get("quantity"), f"{path}.quantity")
    if bucket.get("at") is None:
        return {"quantity": quantity, "minute": None}
    try:
        at = datetime.strptime(str(bucket["at"]), "%H:%M")  # noqa: DTZ007 - a time of day has no zone
    except ValueError as error:
        raise RefusalError("bad_time", f"{bucket['at']!r} is not a time of day like '09:00'", f"{path}.at") from error
    return {"quantity": quantity, "minute": at.hour * 60 + at.minute}


def _rate(cases: list[_Case]) -> Rated:
    import polars as pl

    from valueverse.money import EXACT
    from valueverse.rating.book import ChargeBook
    from valueverse.rating.engine import BUCKETS, EVENTS, QUANTITIES, Detail, rate

    schema = {
        "line": pl.UInt32,
        "charge": pl.UInt32,
        "quantity": EXACT,
        "prorated_quantity": EXACT,
        "decimals": pl.Int8,
        "used_days": pl.Int32,
        "full_days": pl.Int32,
        "billed_quantity": EXACT,
        "billed_amount": EXACT,
        "final": pl.Boolean,
    }
    book = ChargeBook.build([(case.pricing, case.mode, case.level) for case in cases])
    lines = [{"line": number, "charge": number, **case.row} for number, case in enumerate(cases)]

    def gathered(name: str, columns: pl.Schema) -> pl.DataFrame:
        rows = [{"line": number, **row} for number, case in enumerate(cases) for row in getattr(case, name)]
        return pl.DataFrame(rows, schema=columns)

    detail = Detail(gathered("events", EVENTS), gathered("quantities", QUANTITIES), gathered("buckets", BUCKETS))
    return rate(pl.DataFrame(lines, schema=schema), book, detail)


_PROBLEMS = {
    "out_of_range": "a quantity or an amount leaves the exact range (quantities below 10^12, amounts below 10^17)",
    "no_cell": "no cell of the matrix has these dimension values, and there is no default_unit",
}


def answer(documents: list[Document]) -> Iterable[Document | RefusalError]:
    """One answer or refusal per document, in order."""
    from valueverse.money import plain, round_decimal

    judged: list[_Case | RefusalError] = []
    for document in documents:
        try:
            judged.append(_Case(document))
        except RefusalError as refusal:
            judged.append(refusal)
    cases = [case for case in judged if isinstance(case, _Case)]
    if not cases:
        return [refusal for refusal in judged if isinstance(refusal, RefusalError)]
    rated = _rate(cases)
    tiers: dict[int, list[Document]] = {}
    for row in rated.tiers.iter_rows(named=True):
        shown = {
            name: None if row[name] is None else plain(row[name])
            for name in ("from", "to", "quantity", "unit", "flat", "amount")
        }
        tiers.setdefault(row["line"], []).append(shown)
    answers: list[Document | RefusalError] = []
    lines = rated.lines.iter_rows(named=True)
    for case in judged:
        if isinstance(case, RefusalError):
            answers.append(case)
            continue
        line = next(lines)
        if line["problem"] is not None:
            answers.append(RefusalError(line["problem"], _PROBLEMS[line["problem"]], "quantity"))
            continue
        answers.append(
            {
                "quantity": plain(line["quantity"]),
                "amount": plain(line["amount"]),
                "amount_rounded": format(round_decimal(line["amount_rounded"], case.decimals), "f"),
                "tiers": tiers.get(line["line"], []),
            }
        )
    return answers


def register(app: typer.Typer) -> None:
    """Add ``price`` to the command line."""

    @app.command("price")
    def price(
        file: Annotated[
            Path | None, typer.Option("--file", help="Read lines from this file instead of standard input.")
        ] = None,
    ) -> None:
        r"""Price quantities: one JSON object per line in, one per line out.

        [bold]In[/bold]: price, and quantity | events | quantities (capacity) | buckets (bucketed); optional
        prorated_quantity, currency, convert, included, discount_percent, minimum, maximum, proration, billed_before, final.
        [bold]Out[/bold]: quantity, amount (precise), amount_rounded, tiers.

        [dim]printf '{"id":"a","price":{"model":"standard","unit":"0.02"},"quantity":"12.5"}\n' | valueverse price[/dim]
        """
        from valueverse.commands.ndjson import run_calculator

        raise typer.Exit(run_calculator(answer, file))
