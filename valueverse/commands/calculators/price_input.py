"""A line of ``valueverse price``, judged: its pricing and its rows of the frames (contracts.md, 5)."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal, localcontext
from typing import Any
from zoneinfo import ZoneInfo

from pydantic_core import PydanticCustomError

from valueverse.catalog.fields import dimension_text
from valueverse.catalog.prices import Bucketed, ChargePricing, Dynamic, Percentage, Standard, parse_pricing
from valueverse.commands.calculators.time_ranges import known_fields
from valueverse.errors import RefusalError
from valueverse.money import RoundingMode, exact, minor_units
from valueverse.rating.price_book import dimensions_json
from valueverse.services.instants import read_instant, read_time_zone

Document = dict[str, Any]

PRICING = ("price", "convert", "included", "discount_percent", "minimum", "maximum")
KNOWN = (
    "id", *PRICING, "quantity", "events", "quantities", "buckets", "prorated_quantity", "currency",
    "proration", "billed_before", "final", "dimensions", "rounding", "timezone",
)  # fmt: skip
EVENT_FIELDS = ("id", "value", "prorated", "time", "data", "dimensions")
QUANTITY_LIMIT = Decimal(10) ** 12
AMOUNT_LIMIT = Decimal(10) ** 19
LONGEST_PERIOD = 36_600
_DIGITS = 60
_MODES = ("half_up", "half_even", "up", "down")
_LEVELS = ("line", "tier", "invoice")


class Case:
    """One line of input, judged: its pricing and its rows of the engine's frames."""

    def __init__(self, document: Document) -> None:
        _only_known(document)
        self.pricing = parse_pricing({key: document[key] for key in PRICING if key in document})
        _priced_by_quantity(self.pricing.price)
        self.currency = document.get("currency", "USD")
        if not isinstance(self.currency, str):
            raise RefusalError("unknown_currency", f"{self.currency!r} is not a currency code", "currency")
        self.decimals = minor_units(self.currency)
        self.mode, self.level = read_rounding(document)
        self.zone = read_time_zone(document.get("timezone"))
        self.before = _billed_before(document)
        self.events: list[Document] = []
        self.quantities: list[Document] = []
        self.buckets: list[Document] = []
        # Python adds up at 28 digits by default; quantities have up to 30, and their sums more.
        with localcontext(prec=_DIGITS):
            prorated = self._read_usage(document)
        self.row = {
            "quantity": self.quantity,
            "prorated_quantity": prorated,
            "decimals": self.decimals,
            **read_proration(document),
            **self.before,
            "final": _boolean(document, "final", default=True),
        }

    def _read_usage(self, document: Document) -> Decimal | None:
        """Fill quantity, events, quantities or buckets; give the prorated quantity, if any."""
        model = self.pricing.price.model
        if model == "outcome":
            raise RefusalError(
                "not_priced_here", "an outcome is priced from realised value: see `valueverse value`", "price"
            )
        given = [name for name in ("quantity", "events", "quantities", "buckets") if name in document]
        if len(given) != 1:
            said = f"not {' and '.join(given)} together" if given else "none is there"
            raise RefusalError(
                "missing_quantity", f"give one of 'quantity', 'events', 'quantities' or 'buckets': {said}", ""
            )
        prorated = _number(document, "prorated_quantity")
        match given[0]:
            case "quantity":
                self._quantities_are_named("quantity")
                self.quantity = _required(document["quantity"], "quantity")
                self._place_in_matrix(document, prorated)
            case "events":
                self._quantities_are_named("events")
                by_events = self._read_events(document["events"])
                prorated = by_events if prorated is None else prorated
            case "quantities":
                self._read_quantities(document["quantities"])
            case _:
                self._read_buckets(document["buckets"])
        if abs(self.quantity) >= QUANTITY_LIMIT:
            raise RefusalError("out_of_range", "the quantity must stay below 10^12", given[0])
        return prorated

    def _quantities_are_named(self, given: str) -> None:
        if self.pricing.price.model == "capacity":
            message = "a capacity price reads several meters: give 'quantities', an object of meter: number"
            raise RefusalError("missing_quantity", message, given)

    def _place_in_matrix(self, document: Document, prorated: Decimal | None) -> None:
        price = self.pricing.price
        if isinstance(price, Dynamic) and price.amount is not None:
            raise RefusalError("missing_events", "this price adds up what each event carries: give 'events'", "events")
        if "dimensions" in document:
            place = _dimensions(self.pricing, document["dimensions"], "dimensions")
            before = self.before["billed_quantity"]
            share = None if prorated is None else prorated + before
            self.events = [{"value": self.quantity + before, "prorated": share, "dimensions": place}]

    def _read_events(self, events: object) -> Decimal | None:
        if not isinstance(events, list):
            raise RefusalError("malformed", "'events' must be a list of objects", "events")
        rows = [_event(event, self, f"events[{place}]") for place, event in enumerate(events)]
        if any(row["time"] is not None for row in rows):
            for place, row in enumerate(rows):
                if row["time"] is None:
                    raise RefusalError("bad_time", "either every event has a time, or none", f"events[{place}].time")
            rows.sort(key=lambda row: row["time"])
        if sum((abs(row["value"]) for row in rows), Decimal(0)) >= 10 * QUANTITY_LIMIT:
            raise RefusalError("out_of_range", "the events' values add up to 10^13 or more", "events")
        self.quantity = sum((row["value"] for row in rows), Decimal(0))
        price = self.pricing.price
        if isinstance(price, Bucketed):
            if any(isinstance(inner, Percentage) and inner.per_event for inner in price.inner_prices()):
                message = "a bucket is one quantity, and this price counts single events: give 'buckets'"
                raise RefusalError("missing_buckets", message, "events")
            self.buckets = _buckets_of(rows, price.every, self.zone)
            self._without_buckets()
            return None
        prorated = any(row["prorated"] is not None for row in rows)
        self.events = [
            *self._events_before(),
            *({**row, "prorated": _share(row) if prorated else None} for row in rows),
        ]
        for row in self.events:
            row.pop("time", None)
        return sum((_share(row) for row in rows), Decimal(0)) if prorated else None

    def _events_before(self) -> list[Document]:
        """What was billed before, as one event that came first."""
        quantity = self.before["billed_quantity"]
        if not quantity:
            return []
        by_event = self.pricing.price.dimensions_named() or getattr(self.pricing.price, "model", "") == "dynamic"
        if by_event and not getattr(self.pricing.price, "multiplier", None):
            raise RefusalError(
                "missing_events",
                "what was billed before is not told by its quantity: give all events, and 0 as the quantity",
                "billed_before.quantity",
            )
        return [{"value": quantity, "prorated": quantity}]

    def _read_quantities(self, quantities: object) -> None:
        if self.pricing.price.model != "capacity" or not isinstance(quantities, dict):
            raise RefusalError("malformed", "'quantities' is meter: number, for a capacity price", "quantities")
        self.quantity = Decimal(0)
        self.quantities = [
            {"meter": str(meter), "quantity": _required(value, f"quantities.{meter}")}
            for meter, value in quantities.items()
        ]

    def _read_buckets(self, buckets: object) -> None:
        if self.pricing.price.model != "bucketed" or not isinstance(buckets, list):
            raise RefusalError("malformed", "'buckets' is a list, for a bucketed price", "buckets")
        if self.before["billed_quantity"]:
            raise RefusalError(
                "missing_buckets",
                "give every bucket of the period, and 0 as the quantity",
                "billed_before.quantity",
            )
        self.buckets = [_bucket(bucket, f"buckets[{place}]") for place, bucket in enumerate(buckets)]
        if sum((abs(bucket["quantity"]) for bucket in self.buckets), Decimal(0)) >= 10 * QUANTITY_LIMIT:
            raise RefusalError("out_of_range", "the buckets add up to 10^13 or more", "buckets")
        self.quantity = sum((bucket["quantity"] for bucket in self.buckets), Decimal(0))
        self._without_buckets()

    def _without_buckets(self) -> None:
        """No bucket costs nothing, not even a commitment; the chain around the price still holds."""
        if not self.buckets:
            self.pricing = self.pricing.model_copy(update={"price": Standard(model="standard", unit=Decimal(0))})


def _priced_by_quantity(price: object) -> None:
    """Refuse a bucketed price that would need more of a bucket than its quantity."""
    model = price.beyond_quantity() if isinstance(price, Bucketed) else None
    if model is not None:
        message = f"a bucket is one quantity, which {model!r} cannot price alone: choose another inner price"
        raise RefusalError("bad_price", message, "price.price")


def _only_known(document: Document) -> None:
    known_fields(document, KNOWN)
    if "price" not in document:
        raise RefusalError("missing_price", "give 'price': an object with 'model'", "price")


def _required(value: object, path: str) -> Decimal:
    number = exact(value, path)
    if number.copy_abs() >= QUANTITY_LIMIT:
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


def read_rounding(document: Document) -> tuple[RoundingMode, str]:
    """Mode and level of the line's ``rounding``; half_up per line where it says nothing.

    Raises:
        RefusalError: ``malformed``, ``bad_rounding``.
    """
    policy = _object(document, "rounding", ("mode", "level")) or {}
    mode, level = policy.get("mode", "half_up"), policy.get("level", "line")
    if mode not in _MODES:
        raise RefusalError("bad_rounding", f"mode {mode!r} is none of {', '.join(_MODES)}", "rounding.mode")
    if level not in _LEVELS:
        raise RefusalError("bad_rounding", f"level {level!r} is none of {', '.join(_LEVELS)}", "rounding.level")
    return mode, level


def read_proration(document: Document) -> Document:
    """``used_days`` and ``full_days`` of a ``proration``; both None where there is none.

    Raises:
        RefusalError: ``malformed``, ``bad_proration``.
    """
    proration = _object(document, "proration", ("days", "of"))
    if proration is None:
        return {"used_days": None, "full_days": None}
    days, of = (_required(proration.get(name), f"proration.{name}") for name in ("days", "of"))
    if days != int(days) or of != int(of) or not 0 <= days <= of or not 1 <= of <= LONGEST_PERIOD:
        raise RefusalError(
            "bad_proration",
            f"days and of are whole numbers, 0 <= days <= of and 1 <= of <= {LONGEST_PERIOD}",
            "proration",
        )
    return {"used_days": int(days), "full_days": int(of)}


def _billed_before(document: Document) -> Document:
    before = _object(document, "billed_before", ("quantity", "amount"))
    if before is None:
        return {"billed_quantity": Decimal(0), "billed_amount": Decimal(0)}
    amount = exact(before.get("amount", Decimal(0)), "billed_before.amount")
    if amount.copy_abs() >= AMOUNT_LIMIT:
        raise RefusalError("out_of_range", "the amount billed before must stay below 10^19", "billed_before.amount")
    return {
        "billed_quantity": _required(before.get("quantity", Decimal(0)), "billed_before.quantity"),
        "billed_amount": amount,
    }


def _share(row: Document) -> Decimal:
    share: Decimal = row["value"] if row["prorated"] is None else row["prorated"]
    return share


def _buckets_of(rows: list[Document], every: str, zone: str) -> list[Document]:
    """Events in time order, added up by local hour or day."""
    buckets: dict[tuple[object, ...], Document] = {}
    for place, row in enumerate(rows):
        if row["time"] is None:
            raise RefusalError("bad_time", "an event needs a time to find its bucket", f"events[{place}].time")
        local = row["time"].astimezone(ZoneInfo(zone))
        # An hour that the clock repeats is two buckets: its offset tells them apart.
        key = (local.date(),) if every == "day" else (local.date(), local.hour, local.utcoffset())
        minute = 0 if every == "day" else local.hour * 60
        bucket = buckets.setdefault(key, {"quantity": Decimal(0), "minute": minute})
        bucket["quantity"] += row["value"]
    return list(buckets.values())


def _event(event: object, case: Case, path: str) -> Document:
    if not isinstance(event, dict):
        raise RefusalError("malformed", "an event is an object with 'value'", path)
    known_fields(event, EVENT_FIELDS, path)
    price = case.pricing.price
    amount = None
    if isinstance(price, Dynamic) and price.amount is not None:
        amount = _required(_at(event.get("data"), price.amount, path), f"{path}.data.{price.amount}")
    if "value" not in event and amount is None:
        raise RefusalError("missing_value", "an event needs 'value': the units it carries", f"{path}.value")
    dimensions = event.get("dimensions", event.get("data") or {})
    time = event.get("time")
    return {
        "value": _required(event.get("value", Decimal(1)), f"{path}.value"),
        "prorated": None if event.get("prorated") is None else _required(event["prorated"], f"{path}.prorated"),
        "amount": amount,
        "dimensions": _dimensions(case.pricing, dimensions, f"{path}.dimensions"),
        "time": None if time is None else read_instant(time, case.zone, f"{path}.time"),
    }


def _at(data: object, dotted: str, path: str) -> object:
    found = data
    for name in dotted.split("."):
        if not isinstance(found, dict) or name not in found:
            raise RefusalError("no_value", f"the event's data has no {dotted!r}", f"{path}.data")
        found = found[name]
    return found


def _dimensions(pricing: ChargePricing, values: object, path: str) -> str:
    if not isinstance(values, dict):
        raise RefusalError("malformed", "'dimensions' is an object of name: value", path)
    try:
        named = {name: dimension_text(values[name]) for name in pricing.price.dimensions_named() if name in values}
    except PydanticCustomError as error:
        raise RefusalError("malformed", error.message(), path) from error
    return dimensions_json(named)


def _bucket(bucket: object, path: str) -> Document:
    if not isinstance(bucket, dict):
        return {"quantity": _required(bucket, path), "minute": None}
    known_fields(bucket, ("at", "quantity"), path)
    quantity = _required(bucket.get("quantity"), f"{path}.quantity")
    if bucket.get("at") is None:
        return {"quantity": quantity, "minute": None}
    try:
        at = datetime.strptime(str(bucket["at"]), "%H:%M")  # noqa: DTZ007 - a time of day has no zone
    except ValueError as error:
        raise RefusalError("bad_time", f"{bucket['at']!r} is not a time of day like '09:00'", f"{path}.at") from error
    return {"quantity": quantity, "minute": at.hour * 60 + at.minute}
