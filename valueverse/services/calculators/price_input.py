"""A line of ``valueverse price``, judged: its pricing and its rows of the frames (contracts.md, 5)."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, PlainValidator, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

from valueverse.catalog import Bucketed, ChargePricing, Dynamic, Percentage, Standard, dimension_text, parse_pricing
from valueverse.documents import Flag, error_of, wrong
from valueverse.errors import RefusalError
from valueverse.formula import QUANTITY_LIMIT
from valueverse.money import minor_units
from valueverse.schemas.dimensions import dimensions_text
from valueverse.services.calculators.line_fields import (
    AMOUNT_LIMIT,
    Currency,
    LinePart,
    Number,
    ProrationField,
    Rounding,
    RoundingField,
    TimeZone,
    number_below,
    only_fields,
    read_line,
)
from valueverse.services.calculators.time_ranges import known_fields
from valueverse.services.instants import read_instant

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Document = dict[str, Any]

PRICING = ("price", "convert", "included", "discount_percent", "minimum", "maximum")
_DIGITS = 60


def _instant(value: Any, info: ValidationInfo) -> datetime:
    try:
        return read_instant(value, str(info.context), "")
    except RefusalError as refusal:
        raise error_of(refusal) from refusal


def _clock(value: Any) -> int:
    try:
        at = datetime.strptime(str(value), "%H:%M")  # noqa: DTZ007 - a time of day has no zone
    except ValueError as error:
        raise wrong(f"{value!r} is not a time of day like '09:00'", code="bad_time") from error
    return at.hour * 60 + at.minute


class EventInput(LinePart):
    """An event: the units it carries, or the amount in its data; what of them counts, the price says."""

    id: Any = None
    value: Number = Decimal(1)
    prorated: Number | None = None
    time: Annotated[datetime, PlainValidator(_instant)] | None = None
    data: Any = None
    dimensions: Any = None


class BucketInput(LinePart):
    """A quantity, or a quantity at a time of day (minutes since midnight)."""

    at: Annotated[int, PlainValidator(_clock)] | None = None
    quantity: Number

    @model_validator(mode="before")
    @classmethod
    def _has_a_quantity(cls, value: Any) -> Any:
        if isinstance(value, dict) and set(value) <= {"at", "quantity"} and value.get("quantity") is None:
            raise wrong("a bucket needs 'quantity': a number", "quantity", code="not_a_number")
        return value


class BilledBefore(LinePart):
    """All that is booked so far for this charge and period."""

    quantity: Number = Decimal(0)
    amount: Annotated[Decimal, PlainValidator(number_below(AMOUNT_LIMIT, "10^19"))] = Decimal(0)


def _bucket(value: Any) -> Any:
    if value is None:
        raise wrong("a bucket is a number, or an object with 'quantity'; null is neither", code="not_a_number")
    return value if isinstance(value, dict) else {"quantity": value}


class PriceInput(LinePart):
    """A line of ``valueverse price``; its pricing is judged as a catalog's charge is."""

    id: Any = None
    price: Any = None
    convert: Any = None
    included: Any = None
    discount_percent: Any = None
    minimum: Any = None
    maximum: Any = None
    currency: Currency = "USD"
    rounding: RoundingField | None = None
    timezone: TimeZone = "UTC"
    billed_before: Annotated[BilledBefore, only_fields("quantity", "amount")] | None = None
    prorated_quantity: Number | None = None
    quantity: Number = Decimal(0)
    dimensions: Any = None
    events: tuple[EventInput, ...] = ()
    quantities: dict[str, Number] = Field(default_factory=dict)
    buckets: tuple[Annotated[BucketInput, BeforeValidator(_bucket)], ...] = ()
    proration: ProrationField | None = None
    final: Flag = True


class Case:
    """One line of input, judged: its pricing and its rows of the engine's frames."""

    def __init__(self, document: Document) -> None:
        known_fields(document, PriceInput.model_fields)
        if "price" not in document:
            raise RefusalError("missing_price", "give 'price': an object with 'model'", "price")
        self.pricing = parse_pricing({key: document[key] for key in PRICING if key in document})
        _priced_by_quantity(self.pricing.price)
        stated = read_line(PriceInput, document)
        self.decimals = minor_units(stated.currency)
        rounding = stated.rounding or Rounding()
        self.mode, self.level = rounding.mode, rounding.level
        self.zone = stated.timezone
        self.before = stated.billed_before or BilledBefore()
        self.events: list[Document] = []
        self.quantities: list[Document] = []
        self.buckets: list[Document] = []
        # Python adds up at 28 digits by default; quantities have up to 30, and their sums more.
        with localcontext(prec=_DIGITS):
            prorated = self._read_usage(stated)
        proration = stated.proration
        self.row = {
            "quantity": self.quantity,
            "prorated_quantity": prorated,
            "decimals": self.decimals,
            "used_days": None if proration is None else int(proration.days),
            "full_days": None if proration is None else int(proration.of),
            "billed_quantity": self.before.quantity,
            "billed_amount": self.before.amount,
            "final": stated.final,
        }

    def _read_usage(self, stated: PriceInput) -> Decimal | None:
        """Fill quantity, events, quantities or buckets; give the prorated quantity, if any."""
        model = self.pricing.price.model
        if model == "outcome":
            raise RefusalError(
                "not_priced_here", "an outcome is priced from realised value: see `valueverse value`", "price"
            )
        given = [name for name in ("quantity", "events", "quantities", "buckets") if name in stated.model_fields_set]
        if len(given) != 1:
            problem = f"not {' and '.join(given)} together" if given else "none is there"
            raise RefusalError(
                "missing_quantity", f"give one of 'quantity', 'events', 'quantities' or 'buckets': {problem}", ""
            )
        prorated = stated.prorated_quantity
        match given[0]:
            case "quantity":
                self._quantities_are_named("quantity")
                self.quantity = stated.quantity
                self._place_in_matrix(stated, prorated)
            case "events":
                self._quantities_are_named("events")
                by_events = self._read_events(stated.events)
                prorated = by_events if prorated is None else prorated
            case "quantities":
                self._read_quantities(stated.quantities)
            case _:
                self._read_buckets(stated.buckets)
        if abs(self.quantity) >= QUANTITY_LIMIT:
            raise RefusalError("out_of_range", "the quantity must stay below 10^12", given[0])
        return prorated

    def _quantities_are_named(self, given: str) -> None:
        if self.pricing.price.model == "capacity":
            message = "a capacity price reads several meters: give 'quantities', an object of meter: number"
            raise RefusalError("missing_quantity", message, given)

    def _place_in_matrix(self, stated: PriceInput, prorated: Decimal | None) -> None:
        price = self.pricing.price
        if isinstance(price, Dynamic) and price.amount is not None:
            raise RefusalError("missing_events", "this price adds up what each event carries: give 'events'", "events")
        if "dimensions" in stated.model_fields_set:
            place = _dimensions(self.pricing, stated.dimensions, "dimensions")
            before = self.before.quantity
            share = None if prorated is None else prorated + before
            self.events = [{"value": self.quantity + before, "prorated": share, "dimensions": place}]

    def _read_events(self, events: Sequence[EventInput]) -> Decimal | None:
        rows = [_event(event, self.pricing, f"events[{place}]") for place, event in enumerate(events)]
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
        quantity = self.before.quantity
        if not quantity:
            return []
        by_event = self.pricing.price.dimensions_named() or getattr(self.pricing.price, "model", "") == "dynamic"
        if by_event and not getattr(self.pricing.price, "multiplier", None):
            raise RefusalError(
                "missing_events",
                "the quantity does not determine what was billed before: give all events, and 0 as the quantity",
                "billed_before.quantity",
            )
        return [{"value": quantity, "prorated": quantity}]

    def _read_quantities(self, quantities: Mapping[str, Decimal]) -> None:
        if self.pricing.price.model != "capacity":
            raise RefusalError("malformed", "'quantities' is meter: number, for a capacity price", "quantities")
        self.quantity = Decimal(0)
        self.quantities = [{"meter": meter, "quantity": value} for meter, value in quantities.items()]

    def _read_buckets(self, buckets: Sequence[BucketInput]) -> None:
        if self.pricing.price.model != "bucketed":
            raise RefusalError("malformed", "'buckets' is a list, for a bucketed price", "buckets")
        if self.before.quantity:
            raise RefusalError(
                "missing_buckets",
                "give every bucket of the period, and 0 as the quantity",
                "billed_before.quantity",
            )
        self.buckets = [{"quantity": bucket.quantity, "minute": bucket.at} for bucket in buckets]
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
        # An hour that the clock repeats is two buckets: its offset distinguishes them.
        key = (local.date(),) if every == "day" else (local.date(), local.hour, local.utcoffset())
        minute = 0 if every == "day" else local.hour * 60
        bucket = buckets.setdefault(key, {"quantity": Decimal(0), "minute": minute})
        bucket["quantity"] += row["value"]
    return list(buckets.values())


def _event(event: EventInput, pricing: ChargePricing, path: str) -> Document:
    price = pricing.price
    stated, amount = event.model_fields_set, None
    if isinstance(price, Dynamic) and price.amount is not None:
        amount = _amount_of(event.data, price.amount, path)
    if "value" not in stated and amount is None:
        raise RefusalError("missing_value", "an event needs 'value': the units it carries", f"{path}.value")
    dimensions = event.dimensions if "dimensions" in stated else event.data or {}
    return {
        "value": event.value,
        "prorated": event.prorated,
        "amount": amount,
        "dimensions": _dimensions(pricing, dimensions, f"{path}.dimensions"),
        "time": event.time,
    }


def _amount_of(data: object, dotted: str, path: str) -> Decimal:
    value = _at(data, dotted, path)
    try:
        return number_below(QUANTITY_LIMIT, "10^12")(value)
    except PydanticCustomError as error:
        code = str((error.context or {}).get("code"))
        raise RefusalError(code, error.message(), f"{path}.data.{dotted}") from error


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
    return dimensions_text(named)
