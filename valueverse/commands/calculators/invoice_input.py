"""A line of ``valueverse invoice``, judged (contracts.md, 5)."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Any, TypeVar

from valueverse.catalog.base import unknown_name
from valueverse.commands.calculators.price_input import read_proration, read_rounding
from valueverse.commands.calculators.time_ranges import known_fields, read_bound
from valueverse.errors import RefusalError
from valueverse.invoicing.settlement.coupons import Coupon
from valueverse.invoicing.settlement.credit_application import WALLET_KINDS, CreditNote, Wallet
from valueverse.invoicing.settlement.totals import LINE_KINDS, Bill, Commitment, Line
from valueverse.money import exact, minor_units
from valueverse.services.instants import read_time_zone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

Document = dict[str, Any]
Kind = TypeVar("Kind", bound=str)

_FIELDS = (
    "id", "currency", "issued_on", "timezone", "lines", "coupons", "commitment", "credit_notes", "wallets", "rounding",
)  # fmt: skip
_MOST = {"lines": 50_000, "coupons": 200, "credit_notes": 200, "wallets": 200}
"""Entries of each list; every coupon and restricted wallet walks all lines."""
AMOUNT_LIMIT = Decimal(10) ** 19
PERCENT_LIMIT = Decimal(10) ** 6
_LONGEST_KEY = 128
_DIGITS = 60


def read_bill(document: Document) -> Bill:
    """The invoice's ingredients.

    Raises:
        RefusalError: with the path of the first thing wrong.
    """
    known_fields(document, _FIELDS)
    currency = document.get("currency", "USD")
    if not isinstance(currency, str):
        raise RefusalError("unknown_currency", f"{str(currency)[:40]!r} is not a currency code", "currency")
    decimals = minor_units(currency)
    mode, level = read_rounding(document)
    zone = read_time_zone(document.get("timezone"))
    if document.get("lines") is None:
        raise RefusalError("missing_field", "lines is missing: a list of {key, amount}, which may be empty", "lines")
    lines = tuple(_line(entry, path) for entry, path in _entries(document, "lines"))
    if _size(lines) >= AMOUNT_LIMIT:
        raise RefusalError("out_of_range", "the lines' amounts add up to 10^19 or more", "lines")
    wallets = tuple(_wallet(entry, zone, path) for entry, path in _entries(document, "wallets"))
    return Bill(
        decimals=decimals,
        lines=lines,
        mode=mode,
        level=level,
        coupons=tuple(_coupon(entry, zone, path) for entry, path in _entries(document, "coupons")),
        commitment=_commitment(document.get("commitment")),
        credit_notes=tuple(_credit_note(entry, zone, path) for entry, path in _entries(document, "credit_notes")),
        wallets=wallets,
        issued_at=_issued_at(document, wallets, zone),
    )


def _size(lines: tuple[Line, ...]) -> Decimal:
    with localcontext(prec=_DIGITS):
        return sum((abs(line.amount) for line in lines), Decimal(0))


def _entries(document: Document, name: str) -> Iterator[tuple[Document, str]]:
    """The objects of a list, each with its path."""
    entries = document.get(name)
    if entries is None:
        return
    if not isinstance(entries, list):
        raise RefusalError("malformed", f"{name} is a list of objects", name)
    if len(entries) > _MOST[name]:
        raise RefusalError("too_many", f"{len(entries)} {name}: an invoice takes at most {_MOST[name]}", name)
    for place, entry in enumerate(entries):
        path = f"{name}[{place}]"
        if not isinstance(entry, dict):
            raise RefusalError("malformed", f"{str(entry)[:40]!r} is not an object", path)
        yield entry, path


def _text(value: object, path: str) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= _LONGEST_KEY or not value.isprintable():
        message = f"{str(value)[:40]!r} is not a key: printable text of 1 to {_LONGEST_KEY} characters"
        raise RefusalError("bad_key", message, path)
    return value


def _key(entry: Document, path: str, field: str = "key") -> str:
    if entry.get(field) is None:
        raise RefusalError("missing_field", f"{field} is missing: what this is called", f"{path}.{field}")
    return _text(entry[field], f"{path}.{field}")


def _optional_text(entry: Document, field: str, path: str) -> str | None:
    return None if entry.get(field) is None else _text(entry[field], f"{path}.{field}")


def _texts(value: object, path: str) -> frozenset[str]:
    if value is None:
        return frozenset()
    if not isinstance(value, list):
        raise RefusalError("malformed", f"{str(value)[:40]!r} is not a list of keys", path)
    return frozenset(_text(item, f"{path}[{place}]") for place, item in enumerate(value))


def _moment(entry: Document, field: str, zone: str, path: str) -> datetime | None:
    return None if entry.get(field) is None else read_bound(entry[field], zone, f"{path}.{field}")


def _signed(entry: Document, field: str, path: str) -> Decimal:
    where = f"{path}.{field}"
    if entry.get(field) is None:
        raise RefusalError("missing_field", f"{field} is missing: a number such as '12.50'", where)
    number = exact(entry[field], where)
    # abs() would round to the 28 digits of Python's default context.
    if number.copy_abs() >= AMOUNT_LIMIT:
        raise RefusalError("out_of_range", f"{entry[field]} is out of range: it must stay below 10^19", where)
    return number


def _amount(entry: Document, field: str, path: str) -> Decimal:
    number = _signed(entry, field, path)
    if number < 0:
        raise RefusalError("out_of_range", f"{entry[field]} is negative: {field} is at least 0", f"{path}.{field}")
    return number


def _tax_percent(entry: Document, path: str) -> Decimal:
    if entry.get("tax_percent") is None:
        return Decimal(0)
    percent = _amount(entry, "tax_percent", path)
    if percent >= PERCENT_LIMIT:
        message = f"{entry['tax_percent']} % is out of range: it must stay below 10^6"
        raise RefusalError("out_of_range", message, f"{path}.tax_percent")
    return percent


def _kind(entry: Document, names: tuple[Kind, ...], default: Kind, path: str) -> Kind:
    """One of a closed list of words."""
    value = entry.get("kind")
    if value is None:
        return default
    found = next((name for name in names if name == value), None)
    if found is None:
        said = str(value)[:40]
        known = {str(name) for name in names}
        raise RefusalError("bad_kind", unknown_name(f"unknown kind {said!r}", said, known), f"{path}.kind")
    return found


def _line(entry: Document, path: str) -> Line:
    known_fields(entry, ("key", "kind", "amount", "tax_percent", "plan", "charge"), path)
    key = _key(entry, path)
    return Line(
        key=key,
        amount=_signed(entry, "amount", path),
        kind=_kind(entry, LINE_KINDS, "usage", path),
        tax_percent=_tax_percent(entry, path),
        plan=_optional_text(entry, "plan", path),
        # A line is named after its charge, as in the invoices of the engine.
        charge=_optional_text(entry, "charge", path) or key,
    )


def _coupon(entry: Document, zone: str, path: str) -> Coupon:
    known_fields(entry, ("key", "amount", "percent", "applies_to", "applied_at"), path)
    key = _key(entry, path)
    given = [field for field in ("amount", "percent") if entry.get(field) is not None]
    if len(given) != 1:
        said = "both are here" if given else "neither is here"
        raise RefusalError("bad_coupon", f"a coupon has either 'amount' or 'percent': {said}", path)
    number = _amount(entry, given[0], path)
    if given == ["percent"] and number > 100:
        message = f"{entry['percent']} % is more than the whole: at most 100"
        raise RefusalError("out_of_range", message, f"{path}.percent")
    scope = {} if entry.get("applies_to") is None else entry["applies_to"]
    if not isinstance(scope, dict):
        message = "applies_to is an object with 'charges' and 'plans', lists of keys"
        raise RefusalError("malformed", message, f"{path}.applies_to")
    known_fields(scope, ("charges", "plans"), f"{path}.applies_to")
    return Coupon(
        key=key,
        amount=number if given == ["amount"] else None,
        percent=number if given == ["percent"] else None,
        charges=_texts(scope.get("charges"), f"{path}.applies_to.charges"),
        plans=_texts(scope.get("plans"), f"{path}.applies_to.plans"),
        applied_at=_moment(entry, "applied_at", zone, path),
    )


def _commitment(entry: object) -> Commitment | None:
    if entry is None:
        return None
    if not isinstance(entry, dict):
        raise RefusalError("malformed", "commitment is an object with 'minimum' and 'proration'", "commitment")
    known_fields(entry, ("minimum", "proration", "tax_percent"), "commitment")
    minimum = _amount(entry, "minimum", "commitment")
    try:
        days = read_proration(entry)
    except RefusalError as refusal:
        raise refusal.below("commitment") from refusal
    # No proration: the whole period.
    used, full = (1, 1) if days["full_days"] is None else (days["used_days"], days["full_days"])
    return Commitment(minimum, used, full, _tax_percent(entry, "commitment"))


def _credit_note(entry: Document, zone: str, path: str) -> CreditNote:
    known_fields(entry, ("key", "amount", "created_at"), path)
    return CreditNote(_key(entry, path), _amount(entry, "amount", path), _moment(entry, "created_at", zone, path))


def _wallet(entry: Document, zone: str, path: str) -> Wallet:
    known = ("wallet", "kind", "priority", "balance", "expires_at", "created_at", "restrict_to")
    known_fields(entry, known, path)
    return Wallet(
        key=_key(entry, path, "wallet"),
        balance=_amount(entry, "balance", path),
        kind=_kind(entry, WALLET_KINDS, "purchased", path),
        priority=None if entry.get("priority") is None else _signed(entry, "priority", path),
        expires_at=_moment(entry, "expires_at", zone, path),
        created_at=_moment(entry, "created_at", zone, path),
        restrict_to=_restriction(entry.get("restrict_to"), f"{path}.restrict_to"),
    )


def _restriction(value: object, path: str) -> frozenset[str]:
    """Charges: a list, or an object with ``charges`` as a coupon's ``applies_to`` has it."""
    if not isinstance(value, dict):
        return _texts(value, path)
    known_fields(value, ("charges",), path)
    return _texts(value.get("charges"), f"{path}.charges")


def _issued_at(document: Document, wallets: tuple[Wallet, ...], zone: str) -> datetime | None:
    if document.get("issued_on") is not None:
        return read_bound(document["issued_on"], zone, "issued_on")
    if any(wallet.expires_at is not None for wallet in wallets):
        raise RefusalError("missing_field", "issued_on is missing: a wallet's expiry is judged at it", "issued_on")
    return None
