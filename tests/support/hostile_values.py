"""What hostile input is made of: values that break readers, and right documents to put them into."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

ACCEPTED = "accepted"
REASONS = (
    "malformed", "missing_attribute", "bad_time", "too_far_future", "unknown_tenant", "conflict", "inexact_number",
    "out_of_range", "bad_billing_event", "too_long", "payment_instrument", "unreadable_file",
)  # fmt: skip
"""Why a line may be quarantined: the list of docs/formats.md."""
ANY = frozenset({*REASONS, ACCEPTED}) - {"unreadable_file"}
"""Whatever names a reason: for values that are wrong in one field and harmless in another."""
FILE = frozenset({"unreadable_file"})


@dataclass(frozen=True)
class Hostile:
    """One hostile item.

    Attributes:
        kind: what it attacks with, for messages of tests.
        content: the line, document or file.
        reasons: the outcomes that are right for it, by reason; for a file those of its lines.
        name: of a file.
    """

    kind: str
    content: bytes
    reasons: frozenset[str]
    name: str = ""


TEXTS = [
    "",
    " ",
    "\x00",
    "a\x00b",
    "\x1b[2J",
    "x" * 257,
    "x" * 12_000,
    "é" * 300,
    "\U0001f4a3" * 256,
    "\u202eabc",
    "\u2028",
    "'; drop table billing.invoice; --",
    "../../etc/passwd",
    "{{7*7}}",
    "%s%n%x",
    "$['a']",
    "`",
    "a/b/c",
    "a" * 128,
    "null",
    "NaN",
    "Infinity",
    "-0",
    "1e400",
    "0x10",
    "1_000",
    "\uff11\uff12",
    "\u0661",
    "١٢٣",
    "true",
    "[]",
    "=1+1",
    "\uff41dmin",
    "\ufeff",
    "good",
    "0001-01-01",
    "9999-12-31T23:59:59Z",
    "Factory",
    "EST5EDT",
    "XAU",
    "usd",
]
NUMBERS = [
    "1e400",
    "-1e400",
    "1e-400",
    "-0",
    "-0.0",
    "0e99999",
    "1e999999999",
    "NaN",
    "Infinity",
    "-Infinity",
    "1.",
    ".5",
    "01",
    "+1",
    "0.1234567890123456789",
    "12345678901234567890",
    "1000000000000",
    "-1000000000000",
    "1e12",
    "999999999999999",
    "9223372036854775808",
    "1e18",
    "1e-18",
    "1e-19",
    '"1e12"',
    '"1e400"',
    '"999999999999.999999999999999999"',
    '"-999999999999"',
    '"0.0000000000000000001"',
    '" 5 "',
    '"5\\u0000"',
    '"1e-18"',
    "true",
    "null",
    "[]",
    "{}",
    '"' + "9" * 400 + '"',
]
TIMES = [
    "0001-01-01T00:00:00Z",
    "0000-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "9999-12-31T23:59:59-23:59",
    "0001-01-01T00:00:00+23:59",
    "1969-12-31T23:59:59.999999Z",
    "2200-01-01T00:00:00.000001Z",
    "2024-02-30T00:00:00Z",
    "2024-01-01T24:00:00Z",
    "2024-06-30T23:59:60Z",
    "2024-01-01T00:00:00",
    "20240101T000000Z",
    "2024-W01-1T00:00:00Z",
    "2024-01-01T00:00:00+99:99",
    "٢٠٢٤-01-01T00:00:00Z",
    "-2024-01-01T00:00:00Z",
    "292277026596-12-04T15:30:08Z",
    "1e400",
    "",
    "2024-01-01T00:00:00." + "9" * 5_000 + "Z",
    "1970-01-01T00:00:00Z",
    "2200-01-01T00:00:00Z",
    "1986-12-31",
    "2199-12-31",
]
DURATIONS = [
    "999999 weeks",
    "999999999 weeks",
    "3661 days",
    "-1 day",
    "1e9 days",
    "0 seconds",
    "3660 days",
    "1 fortnight",
    "",
]
_STARTED = {"subscription": "s-{n}", "customer": "c-{n}", "plan": "pro"}
_OF = {"customer": "c-{n}"}
BILLING: dict[str, dict[str, Any]] = {
    "tenant.updated": {"tenant": "evil", "timezone": "Europe/Berlin", "currency": "USD", "grace": "1 day"},
    "customer.created": _OF
    | {"name": "N", "currency": "USD", "timezone": "UTC", "country": "DE", "tax_rates": ["19"], "metadata": {"a": 1}},
    "customer.updated": _OF | {"currency": "JPY", "tax_rates": [{"percent": "7"}]},
    "subscription.started": _STARTED
    | {
        "plan_version": 1,
        "anchor_date": "2024-01-31",
        "timezone": "UTC",
        "quantities": {"seats": "3"},
        "ends_at": "2024-03-01T00:00:00Z",
        "overrides": {"charges": [{"key": "usage", "price": {"model": "standard", "unit": "2"}}]},
    },
    "subscription.changed": {
        "subscription": "s-{n}",
        "plan": "pro",
        "effective": "now",
        "quantities": {"seats": "5"},
        "overrides": {},
    },
    "subscription.paused": {"subscription": "s-{n}"},
    "subscription.resumed": {"subscription": "s-{n}"},
    "subscription.ended": {"subscription": "s-{n}"},
    "coupon.applied": _OF | {"coupon": "launch"},
    "coupon.removed": _OF | {"coupon": "launch"},
    "wallet.granted": _OF
    | {
        "wallet": "w",
        "amount": "10",
        "currency": "USD",
        "priority": 1,
        "expires_at": "2024-03-01",
        "restrict_to": ["usage"],
    },
    "wallet.purchased": _OF | {"wallet": "w", "amount": "10", "currency": "USD", "expires_at": "2024-02-01T00:00:00Z"},
    "wallet.voided": _OF | {"wallet": "w", "amount": "5", "currency": "USD"},
    "payment.received": {"invoice": "evil-000001", "amount": "5", "currency": "USD", "reference": "r"},
    "payment.refunded": {"invoice": "evil-000001", "amount": "5", "currency": "USD", "reference": "r"},
    "invoice.voided": {"invoice": "evil-000001", "reason": "r"},
    "credit_note.issued": {"invoice": "evil-000001", "lines": [{"key": "usage", "amount": "1"}], "reason": "r"},
    "one_off.added": _OF
    | {
        "description": "d",
        "amount": "7",
        "currency": "USD",
        "service_period": {"from": "2024-01-01", "to": "2024-02-01"},
    },
    "cost.recorded": _OF
    | {"amount": "1", "currency": "USD", "service": "usage", "period": {"from": "2024-01-01", "to": "2024-02-01"}},
}
"""A right document of every type of billing event; ``{n}`` is the number of a customer."""
CATALOG: dict[str, Any] = {
    "schema": "valueverse.catalog/v1",
    "currency": "USD",
    "timezone": "UTC",
    "grace": "1 day",
    "meters": [
        {"key": "calls", "event_type": "call", "aggregation": "sum", "value": "n", "dimensions": ["model"]},
        {"key": "users", "event_type": "call", "aggregation": "unique_count", "value": "user"},
    ],
    "plans": [
        {
            "key": "pro",
            "period": {"every": 1, "unit": "month"},
            "trial": {"days": 0},
            "fees": [{"key": "seats", "unit_amount": "9", "quantity": "2"}, {"key": "base", "amount": "20"}],
            "charges": [
                {
                    "key": "usage",
                    "meter": "calls",
                    "price": {"model": "standard", "unit": "0.5"},
                    "split_by": ["model"],
                    "minimum": "1",
                    "maximum": "500",
                    "discount_percent": "5",
                    "included": "1",
                },
                {
                    "key": "people",
                    "meter": "users",
                    "price": {
                        "model": "graduated",
                        "tiers": [{"up_to": "5", "unit": "1"}, {"up_to": None, "unit": "2", "flat": "3"}],
                    },
                },
            ],
            "commitment": {"minimum": "50"},
        }
    ],
    "coupons": [{"key": "launch", "percent": "20", "periods": 2}],
    "taxes": [{"key": "vat", "percent": "19", "country": "DE"}],
}
"""What the hostile tenant sells; every leaf of it is attacked by ``catalogs``."""
