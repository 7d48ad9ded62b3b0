"""Shapes of billing events (contracts.md, section 2): what the event alone shows; state is judged later."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from valueverse.errors import RefusalError
from valueverse.events.validation import CALENDAR, EARLIEST, LATEST, is_time_zone
from valueverse.money import exact, minor_units

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Judge = Callable[[Any, str], None]

_KEY = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}\Z")
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


def _refuse(message: str, path: str) -> RefusalError:
    return RefusalError("bad_billing_event", message, path)


def _text(value: Any, path: str) -> None:
    if not isinstance(value, str) or not value or len(value) > 4096:
        raise _refuse("text of 1 to 4096 characters is expected here", path)


def _key(value: Any, path: str) -> None:
    if not isinstance(value, str) or not _KEY.match(value):
        raise _refuse(f"{str(value)[:60]!r} is not a key: a-z, 0-9, '_', '.', '-', a letter or digit first", path)


def _name(value: Any, path: str) -> None:
    if not isinstance(value, str) or not 1 <= len(value) <= 128 or "/" in value or not value.isprintable():
        raise _refuse(f"{str(value)[:60]!r} is not 1 to 128 printable characters without '/'", path)


def _currency(value: Any, path: str) -> None:
    try:
        minor_units(str(value))
    except RefusalError as refusal:
        raise _refuse(refusal.message, path) from refusal


def _zone(value: Any, path: str) -> None:
    # Judged by the engine that places local days: Python's own list holds names that would stop it, such as 'Factory'.
    if not isinstance(value, str) or not is_time_zone(value):
        raise _refuse(f"{str(value)[:60]!r} is not an IANA time zone such as 'Europe/Berlin'", path)


def _amount(value: Any, path: str) -> None:
    try:
        number = exact(value, path)
    except RefusalError as refusal:
        code = "out_of_range" if refusal.code == "out_of_range" else "bad_billing_event"
        raise RefusalError(code, refusal.message, path) from refusal
    # abs() would round to the 28 digits of Python's default context.
    if number.copy_abs() >= _LIMIT:
        raise RefusalError("out_of_range", f"{value} is 10^12 or more", path)


def _not_negative(value: Any, path: str) -> None:
    _amount(value, path)
    if exact(value, path) < 0:
        raise _refuse(f"{value} is too small: it must be at least 0", path)


def _whole(value: Any, path: str) -> None:
    is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
    # The size first: writing out 1e9999 as a whole number costs what an attacker wants it to cost.
    if not is_number or not 1 <= value <= _LARGEST_WHOLE or value != int(value):
        raise _refuse(f"{str(value)[:40]} is not a whole number from 1 to {_LARGEST_WHOLE}", path)


def _reads(text: str, shape: re.Pattern[str], read: Callable[[str], object]) -> bool:
    # Python reads 20240131 and 2024-W05-3 too, which those who read the event later do not: hence the shape.
    try:
        read(text)
    except ValueError:
        return False
    return shape.match(text) is not None


def _in_calendar(moment: datetime, path: str) -> None:
    if not EARLIEST <= moment <= LATEST:
        raise RefusalError("bad_time", f"{moment.isoformat()} lies outside the dates that are billed, {CALENDAR}", path)


def _day(value: Any, path: str) -> None:
    if not _reads(str(value), _DATE, date.fromisoformat):
        raise _refuse(f"{str(value)[:40]!r} is not a date like 2024-01-31", path)
    _in_calendar(datetime.fromisoformat(str(value)).replace(tzinfo=UTC), path)


def _moment(value: Any, path: str) -> None:
    text = str(value)
    if _LOCAL.match(text.upper()):
        raise _refuse(f"{text[:40]!r} has no offset: end it with Z or +00:00", path)
    if not (_reads(text, _DATE, date.fromisoformat) or _reads(text.upper(), _INSTANT, datetime.fromisoformat)):
        raise _refuse(f"{text[:40]!r} is neither a date nor an RFC 3339 time", path)
    moment = datetime.fromisoformat(text.upper())
    _in_calendar(moment.replace(tzinfo=moment.tzinfo or UTC), path)


def _object(value: Any, path: str) -> None:
    if not isinstance(value, dict):
        raise _refuse("an object is expected here", path)


def _list(value: Any, path: str) -> None:
    if not isinstance(value, list):
        raise _refuse("a list is expected here", path)


def _names(value: Any, path: str) -> None:
    _list(value, path)
    for index, name in enumerate(value):
        _name(name, f"{path}[{index}]")


def _credit_lines(value: Any, path: str) -> None:
    _list(value, path)
    for index, line in enumerate(value):
        place = f"{path}[{index}]"
        _object(line, place)
        if line.get("amount") is None:
            raise _refuse("a line of a credit note needs 'amount'", f"{place}.amount")
        _not_negative(line["amount"], f"{place}.amount")


def _tax_rates(value: Any, path: str) -> None:
    """A key of the catalog's taxes, a percentage, or {key?, percent}."""
    _list(value, path)
    for index, rate in enumerate(value):
        place = f"{path}[{index}]"
        percent = rate.get("percent") if isinstance(rate, dict) else rate
        if isinstance(percent, str) and _KEY.match(percent) and not _NUMBER.match(percent):
            continue
        _amount(percent, f"{place}.percent" if isinstance(rate, dict) else place)
        if not 0 <= Decimal(str(percent)) <= 100:
            raise _refuse(f"{percent} is not a percentage from 0 to 100", place)


def _period(value: Any, path: str) -> None:
    _object(value, path)
    for name in ("from", "to"):
        if value.get(name) is not None:
            _moment(value[name], f"{path}.{name}")


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


def _duration(value: Any, path: str) -> None:
    try:
        duration_seconds(value, path)
    except RefusalError as refusal:
        code = "out_of_range" if refusal.code == "out_of_range" else "bad_billing_event"
        raise RefusalError(code, refusal.message, path) from refusal


def _quantities(value: Any, path: str) -> None:
    _object(value, path)
    for name, quantity in value.items():
        _not_negative(quantity, f"{path}.{name}")


def _country(value: Any, path: str) -> None:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Z]{2}", value):
        raise _refuse(f"{str(value)[:40]!r} is not a country code like 'DE' (ISO 3166-1)", path)


def _one_of(*words: str) -> Judge:
    def judge(value: Any, path: str) -> None:
        if value not in words:
            raise _refuse(f"{str(value)[:40]!r} is none of {', '.join(words)}", path)

    return judge


_CUSTOMER: dict[str, Judge] = {
    "customer!": _name, "name": _text, "email": _text, "currency": _currency, "timezone": _zone, "country": _text,
    "tax_rates": _tax_rates, "metadata": _object,
}  # fmt: skip
_TENANT: dict[str, Judge] = {
    "tenant!": _key,
    "name": _text,
    "timezone": _zone,
    "currency": _currency,
    "grace": _duration,
    "country": _country,
    "tax_id": _text,
    "address": _object,
}
_WALLET: dict[str, Judge] = {
    "customer!": _name, "wallet!": _name, "amount!": _not_negative, "currency!": _currency, "priority": _whole,
    "expires_at": _moment, "restrict_to": _names,
}  # fmt: skip
_PAYMENT: dict[str, Judge] = {"invoice!": _text, "amount!": _not_negative, "currency!": _currency, "reference": _text}
_SUBSCRIPTION: dict[str, Judge] = {"subscription!": _name}
_COUPON: dict[str, Judge] = {"customer": _name, "subscription": _name, "coupon!": _key}

SHAPES: dict[str, dict[str, Judge]] = {
    "billing.tenant.created": _TENANT,
    "billing.tenant.updated": _TENANT,
    "billing.customer.created": _CUSTOMER,
    "billing.customer.updated": _CUSTOMER,
    "billing.subscription.started": {
        "subscription!": _name, "customer!": _name, "plan!": _key, "plan_version": _whole, "anchor_date": _day,
        "timezone": _zone, "overrides": _object, "ends_at": _moment, "quantities": _quantities,
    },
    "billing.subscription.changed": {
        "subscription!": _name, "plan": _key, "plan_version": _whole, "overrides": _object, "quantities": _quantities,
        "effective": _one_of("now", "period_end"),
    },
    "billing.subscription.paused": _SUBSCRIPTION,
    "billing.subscription.resumed": _SUBSCRIPTION,
    "billing.subscription.ended": _SUBSCRIPTION,
    "billing.coupon.applied": _COUPON,
    "billing.coupon.removed": _COUPON,
    "billing.wallet.granted": _WALLET,
    "billing.wallet.purchased": _WALLET,
    "billing.wallet.voided": _WALLET,
    "billing.payment.received": _PAYMENT,
    "billing.payment.failed": _PAYMENT,
    "billing.payment.refunded": _PAYMENT,
    "billing.invoice.voided": {"invoice!": _text, "reason!": _text},
    "billing.credit_note.issued": {
        "invoice!": _text, "lines": _credit_lines, "amount": _not_negative, "reason!": _text,
    },
    "billing.one_off.added": {
        "customer!": _name, "description!": _text, "amount!": _amount, "currency!": _currency,
        "service_period": _period,
    },
    "billing.cost.recorded": {
        "customer": _name, "amount": _amount, "currency": _currency, "service": _text, "period": _period,
        "BilledCost": _amount, "BillingCurrency": _currency, "ServiceName": _text, "ChargePeriodStart": _moment,
        "ChargePeriodEnd": _moment,
    },
}  # fmt: skip
"""Fields per type; a name that ends in ``!`` is required. The catalog document is judged by the catalog room."""
CATALOG_PUBLISHED = "billing.catalog.published"


def judge_billing_event(
    kind: str, tenant: str, data: Mapping[str, Any], judge_catalog: Callable[[Any], object]
) -> None:
    """Refuse a billing event whose ``data`` has the wrong shape.

    Raises:
        RefusalError: ``bad_billing_event``, ``out_of_range``, ``bad_time`` or ``too_long``; paths begin with ``data``.
    """
    if kind == CATALOG_PUBLISHED:
        try:
            judge_catalog(data)
        except RefusalError as refusal:
            code = refusal.code if refusal.code in {"out_of_range", "too_long"} else "bad_billing_event"
            raise RefusalError(code, refusal.message, refusal.path).below("data") from refusal
        return
    if kind not in SHAPES:
        raise _refuse(f"{kind!r} is no billing event; known are {', '.join(sorted(SHAPES))}", "type")
    if kind.startswith("billing.tenant.") and data.get("tenant", tenant) != tenant:
        raise _refuse(f"the event of tenant {tenant!r} speaks of {data['tenant']!r}", "data.tenant")
    shape = SHAPES[kind] | ({"tenant": _key} if kind.startswith("billing.tenant.") else {})
    for name, judge in shape.items():
        field = name.removesuffix("!")
        value = data.get(field)
        if value is None:
            if name.endswith("!") and not (field == "tenant"):
                raise _refuse(f"{field!r} is required in a {kind} event", f"data.{field}")
            continue
        judge(value, f"data.{field}")
