"""Shapes of billing events (contracts.md, section 2): what the event alone shows; state is judged later."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator

from valueverse.documents import KEY_PATTERN, DocumentError, judge_object, wrong
from valueverse.errors import RefusalError
from valueverse.events.validation import CALENDAR, EARLIEST, LATEST, is_time_zone
from valueverse.money import exact, minor_units

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_NUMBER = re.compile(r"[0-9.]+(e[0-9]+)?\Z")
"""What both a key and a number could be is taken for a number."""
_LIMIT = Decimal(10) ** 12
_LARGEST_WHOLE = 1_000_000
"""Versions and priorities: no plan has more of either."""
LONGEST_DAYS = 3_660
"""Of a duration: grace, trial."""
_SECONDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800}
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}\Z", re.ASCII)
_TIME = r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(\.\d+)?"
_LOCAL = re.compile(rf"{_TIME}\Z", re.ASCII)
_INSTANT = re.compile(rf"{_TIME}(Z|[+-]\d{{2}}:\d{{2}})\Z", re.ASCII)
_DURATION = re.compile(r"(\d{1,9}) (second|minute|hour|day|week)s?\Z", re.ASCII)
_COUNTRY = re.compile(r"[A-Z]{2}\Z")


def duration_seconds(value: Any, path: str = "") -> int:
    """Seconds of a duration such as '1 day', '12 hours' or '30 minutes'.

    Raises:
        RefusalError: ``bad_duration``; ``out_of_range`` for more than 3,660 days.
    """
    match = _DURATION.match(value) if isinstance(value, str) else None
    if match is None:
        message = f"{str(value)[:40]!r} is no duration: write it like '1 day', '12 hours' or '30 minutes'"
        raise RefusalError("bad_duration", message, path)
    seconds = int(match[1]) * _SECONDS[match[2]]
    if seconds > LONGEST_DAYS * _SECONDS["day"]:
        raise RefusalError("out_of_range", f"{value!r} is too long: at most {LONGEST_DAYS} days", path)
    return seconds


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value or len(value) > 4096:
        raise wrong("text of 1 to 4096 characters is expected here")
    return value


def _key(value: Any) -> str:
    if not isinstance(value, str) or not KEY_PATTERN.match(value):
        raise wrong(f"{str(value)[:60]!r} is not a key: a-z, 0-9, '_', '.', '-', a letter or digit first")
    return value


def _name(value: Any) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= 128 or "/" in value or not value.isprintable():
        raise wrong(f"{str(value)[:60]!r} is not 1 to 128 printable characters without '/'")
    return value


def _currency(value: Any) -> str:
    try:
        minor_units(str(value))
    except RefusalError as refusal:
        raise wrong(refusal.message) from refusal
    return str(value)


def _zone(value: Any) -> str:
    # Judged by the engine that places local days: Python's own list holds names that would stop it, such as 'Factory'.
    if not isinstance(value, str) or not is_time_zone(value):
        raise wrong(f"{str(value)[:60]!r} is not an IANA time zone such as 'Europe/Berlin'")
    return value


def _number(value: Any, field: str = "") -> Decimal:
    try:
        number = exact(value)
    except RefusalError as refusal:
        raise wrong(refusal.message, field, code=refusal.code if refusal.code == "out_of_range" else "") from refusal
    # abs() would round to the 28 digits of Python's default context.
    if number.copy_abs() >= _LIMIT:
        raise wrong(f"{value} is 10^12 or more", field, code="out_of_range")
    return number


def _amount(value: Any) -> Decimal:
    return _number(value)


def _not_negative(value: Any) -> Decimal:
    number = _number(value)
    if number < 0:
        raise wrong(f"{value} is too small: it must be at least 0")
    return number


def _whole(value: Any) -> int:
    is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
    # The size first: writing out 1e9999 as a whole number costs what an attacker wants it to cost.
    if not is_number or not 1 <= value <= _LARGEST_WHOLE or value != int(value):
        raise wrong(f"{str(value)[:40]} is not a whole number from 1 to {_LARGEST_WHOLE}")
    return int(value)


def _reads(text: str, shape: re.Pattern[str], read: Callable[[str], object]) -> bool:
    # Python reads 20240131 and 2024-W05-3 too, which those who read the event later do not: hence the shape.
    try:
        read(text)
    except ValueError:
        return False
    return shape.match(text) is not None


def _in_calendar(moment: datetime) -> None:
    if not EARLIEST <= moment <= LATEST:
        raise wrong(f"{moment.isoformat()} lies outside the dates that are billed, {CALENDAR}", code="bad_time")


def _day(value: Any) -> str:
    if not _reads(str(value), _DATE, date.fromisoformat):
        raise wrong(f"{str(value)[:40]!r} is not a date like 2024-01-31")
    _in_calendar(datetime.fromisoformat(str(value)).replace(tzinfo=UTC))
    return str(value)


def _moment(value: Any) -> str:
    text = str(value)
    if _LOCAL.match(text.upper()):
        raise wrong(f"{text[:40]!r} has no offset: end it with Z or +00:00")
    if not (_reads(text, _DATE, date.fromisoformat) or _reads(text.upper(), _INSTANT, datetime.fromisoformat)):
        raise wrong(f"{text[:40]!r} is neither a date nor an RFC 3339 time")
    moment = datetime.fromisoformat(text.upper())
    _in_calendar(moment.replace(tzinfo=moment.tzinfo or UTC))
    return text


def _tax_rate(rate: Any) -> Any:
    """A key of the catalog's taxes, a percentage, or {key?, percent}."""
    percent = rate.get("percent") if isinstance(rate, dict) else rate
    if isinstance(percent, str) and KEY_PATTERN.match(percent) and not _NUMBER.match(percent):
        return rate
    if not 0 <= _number(percent, "percent" if isinstance(rate, dict) else "") <= 100:
        raise wrong(f"{percent} is not a percentage from 0 to 100")
    return rate


def _duration(value: Any) -> str:
    try:
        duration_seconds(value)
    except RefusalError as refusal:
        raise wrong(refusal.message, code=refusal.code if refusal.code == "out_of_range" else "") from refusal
    return str(value)


def _country(value: Any) -> str:
    if not isinstance(value, str) or not _COUNTRY.match(value):
        raise wrong(f"{str(value)[:40]!r} is not a country code like 'DE' (ISO 3166-1)")
    return value


Text = Annotated[str, PlainValidator(_text)]
Key = Annotated[str, PlainValidator(_key)]
Name = Annotated[str, PlainValidator(_name)]
"""A customer, subscription or wallet key: other people's, any printable text without ``/``."""
Currency = Annotated[str, PlainValidator(_currency)]
Zone = Annotated[str, PlainValidator(_zone)]
Amount = Annotated[Decimal, PlainValidator(_amount)]
NotNegative = Annotated[Decimal, PlainValidator(_not_negative)]
Whole = Annotated[int, PlainValidator(_whole)]
Day = Annotated[str, PlainValidator(_day)]
Moment = Annotated[str, PlainValidator(_moment)]
TaxRate = Annotated[Any, PlainValidator(_tax_rate)]
GraceDuration = Annotated[str, PlainValidator(_duration)]
Country = Annotated[str, PlainValidator(_country)]


def _stated(value: Any) -> Any:
    """A field that is null is one that is not there."""
    return {name: item for name, item in value.items() if item is not None} if isinstance(value, dict) else value


class BillingEvent(BaseModel):
    """``data`` of a billing event; further fields are the sender's own."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Tenant(BillingEvent):
    """``billing.tenant.created`` and ``.updated``."""

    tenant: Key | None = None
    name: Text | None = None
    timezone: Zone | None = None
    currency: Currency | None = None
    grace: GraceDuration | None = None
    country: Country | None = None
    tax_id: Text | None = None
    address: dict[str, Any] | None = None


class Customer(BillingEvent):
    """``billing.customer.created`` and ``.updated``."""

    customer: Name
    name: Text | None = None
    email: Text | None = None
    currency: Currency | None = None
    timezone: Zone | None = None
    country: Text | None = None
    tax_rates: list[TaxRate] | None = None
    metadata: dict[str, Any] | None = None


class SubscriptionStarted(BillingEvent):
    """``billing.subscription.started``."""

    subscription: Name
    customer: Name
    plan: Key
    plan_version: Whole | None = None
    anchor_date: Day | None = None
    timezone: Zone | None = None
    overrides: dict[str, Any] | None = None
    ends_at: Moment | None = None
    quantities: dict[str, NotNegative] | None = None


class SubscriptionChanged(BillingEvent):
    """``billing.subscription.changed``."""

    subscription: Name
    plan: Key | None = None
    plan_version: Whole | None = None
    overrides: dict[str, Any] | None = None
    quantities: dict[str, NotNegative] | None = None
    effective: Literal["now", "period_end"] | None = None


class Subscription(BillingEvent):
    """``billing.subscription.paused``, ``.resumed`` and ``.ended``."""

    subscription: Name


class Coupon(BillingEvent):
    """``billing.coupon.applied`` and ``.removed``."""

    customer: Name | None = None
    subscription: Name | None = None
    coupon: Key


class Wallet(BillingEvent):
    """``billing.wallet.granted``, ``.purchased`` and ``.voided``."""

    customer: Name
    wallet: Name
    amount: NotNegative
    currency: Currency
    priority: Whole | None = None
    expires_at: Moment | None = None
    restrict_to: list[Name] | None = None


class Payment(BillingEvent):
    """``billing.payment.received``, ``.failed`` and ``.refunded``."""

    invoice: Text
    amount: NotNegative
    currency: Currency
    reference: Text | None = None


class InvoiceVoided(BillingEvent):
    """``billing.invoice.voided``."""

    invoice: Text
    reason: Text


class CreditedLine(BillingEvent):
    """What a credit note takes off one line."""

    amount: NotNegative


class CreditNote(BillingEvent):
    """``billing.credit_note.issued``."""

    invoice: Text
    lines: list[Annotated[CreditedLine, BeforeValidator(_stated)]] | None = None
    amount: NotNegative | None = None
    reason: Text


class ServicePeriod(BillingEvent):
    """Local days or instants, [from, to)."""

    from_: Annotated[Moment | None, Field(alias="from")] = None
    to: Moment | None = None


Period = Annotated[ServicePeriod, BeforeValidator(_stated)]


class OneOff(BillingEvent):
    """``billing.one_off.added``."""

    customer: Name
    description: Text
    amount: Amount
    currency: Currency
    service_period: Period | None = None


class Cost(BillingEvent):
    """``billing.cost.recorded``, in our words or in FOCUS columns."""

    customer: Name | None = None
    amount: Amount | None = None
    currency: Currency | None = None
    service: Text | None = None
    period: Period | None = None
    billed_cost: Annotated[Amount | None, Field(alias="BilledCost")] = None
    billing_currency: Annotated[Currency | None, Field(alias="BillingCurrency")] = None
    service_name: Annotated[Text | None, Field(alias="ServiceName")] = None
    charge_period_start: Annotated[Moment | None, Field(alias="ChargePeriodStart")] = None
    charge_period_end: Annotated[Moment | None, Field(alias="ChargePeriodEnd")] = None


SHAPES: dict[str, type[BillingEvent]] = {
    "billing.tenant.created": Tenant,
    "billing.tenant.updated": Tenant,
    "billing.customer.created": Customer,
    "billing.customer.updated": Customer,
    "billing.subscription.started": SubscriptionStarted,
    "billing.subscription.changed": SubscriptionChanged,
    "billing.subscription.paused": Subscription,
    "billing.subscription.resumed": Subscription,
    "billing.subscription.ended": Subscription,
    "billing.coupon.applied": Coupon,
    "billing.coupon.removed": Coupon,
    "billing.wallet.granted": Wallet,
    "billing.wallet.purchased": Wallet,
    "billing.wallet.voided": Wallet,
    "billing.payment.received": Payment,
    "billing.payment.failed": Payment,
    "billing.payment.refunded": Payment,
    "billing.invoice.voided": InvoiceVoided,
    "billing.credit_note.issued": CreditNote,
    "billing.one_off.added": OneOff,
    "billing.cost.recorded": Cost,
}
"""``data`` per type; the catalog document is judged by ``valueverse.catalog``."""
CATALOG_PUBLISHED = "billing.catalog.published"


def judge_billing_event(
    kind: str, tenant: str, data: Mapping[str, Any], judge_catalog: Callable[[Any], object]
) -> None:
    """Refuse a billing event whose ``data`` has the wrong shape.

    Raises:
        RefusalError: ``bad_billing_event``, ``out_of_range``, ``bad_time`` or ``too_long``; paths begin with ``data``.
            Code and path are those of the first thing wrong; the message names the others too.
    """
    try:
        if kind == CATALOG_PUBLISHED:
            judge_catalog(data)
            return
        if kind not in SHAPES:
            raise RefusalError.unknown("bad_billing_event", f"{kind!r} is no billing event", kind, SHAPES, "type")
        if kind.startswith("billing.tenant.") and data.get("tenant", tenant) != tenant:
            message = f"the event of tenant {tenant!r} names the tenant {data['tenant']!r}"
            raise RefusalError("bad_billing_event", message, "data.tenant")
        judge_object(SHAPES[kind], _stated(data), "bad_billing_event", what=f"a {kind} event")
    except DocumentError as found:
        error = found.below("data")
        code = error.code if error.code in {"out_of_range", "too_long", "bad_time"} else "bad_billing_event"
        raise RefusalError(code, error.listed, error.path) from found
