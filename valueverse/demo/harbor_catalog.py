"""What ``harbor-metrics`` sells: four plans that between them use every meter and price of the skeleton."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from valueverse.demo.files import Event

TENANT = "harbor-metrics"
HOME_ZONE = "Europe/Berlin"
AWAY_ZONE = "America/New_York"

METERS: list[Event] = [
    {"key": "calls", "event_type": "api.request", "aggregation": "count"},
    {
        "key": "traffic",
        "event_type": "api.request",
        "aggregation": "sum",
        "value": "megabytes",
        "dimensions": ["region"],
    },
    {"key": "active_users", "event_type": "api.request", "aggregation": "unique_count", "value": "user"},
    {"key": "peak_storage", "event_type": "storage.sampled", "aggregation": "max", "value": "gigabytes"},
    {"key": "licences", "event_type": "licences.reported", "aggregation": "latest", "value": "licences"},
    {"key": "payments", "event_type": "payment.processed", "aggregation": "sum", "value": "amount"},
]

CALLS_GRADUATED = {
    "key": "calls",
    "meter": "calls",
    "price": {
        "model": "graduated",
        "tiers": [
            {"up_to": "50", "unit": "0.10"},
            {"up_to": "150", "unit": "0.08", "flat": "1.00"},
            {"up_to": None, "unit": "0.0525"},
        ],
    },
}
STORAGE_VOLUME = {
    "key": "storage",
    "meter": "peak_storage",
    "price": {
        "model": "volume",
        "tiers": [
            {"up_to": "25", "unit": "0.23"},
            {"up_to": "100", "unit": "0.19"},
            {"up_to": None, "unit": "0.15", "flat": "4.00"},
        ],
    },
}
TRAFFIC_STANDARD = {
    "key": "traffic",
    "meter": "traffic",
    "split_by": ["region"],
    "convert": {"divide_by": "1024"},
    "price": {"model": "standard", "unit": "0.085"},
}

PLANS: list[Event] = [
    {
        "key": "starter",
        "version": 1,
        "currency": "EUR",
        "period": {"every": 1, "unit": "month", "align": "calendar"},
        "fees": [{"key": "base", "amount": "19.00", "timing": "in_advance", "prorate": "day"}],
        "charges": [CALLS_GRADUATED, STORAGE_VOLUME],
    },
    {
        "key": "growth",
        "version": 1,
        "currency": "EUR",
        "period": {"every": 1, "unit": "month", "align": "anniversary"},
        "fees": [
            {"key": "platform", "amount": "99.00", "timing": "in_arrears", "prorate": "day"},
            {
                "key": "seats",
                "unit_amount": "9.00",
                "quantity": 5,
                "timing": "in_advance",
                "prorate": "day",
            },
        ],
        "charges": [
            {
                "key": "calls",
                "meter": "calls",
                "price": {"model": "package", "size": "50", "amount": "1.50", "free": "100"},
            },
            {
                "key": "users",
                "meter": "active_users",
                "included": "3",
                "price": {"model": "standard", "unit": "0.75"},
            },
            TRAFFIC_STANDARD,
        ],
    },
    {
        "key": "merchant",
        "version": 1,
        "currency": "EUR",
        "period": {"every": 1, "unit": "month", "align": "calendar"},
        "fees": [{"key": "desk", "amount": "49.00", "timing": "in_arrears", "prorate": "none"}],
        "charges": [
            {
                "key": "payments",
                "meter": "payments",
                "price": {"model": "percentage", "rate": "1.3", "fixed": "0.10", "free_events": 5},
            },
            STORAGE_VOLUME,
        ],
    },
    {
        "key": "atlantic",
        "version": 1,
        "currency": "USD",
        "period": {"every": 2, "unit": "week", "align": "anniversary"},
        "fees": [{"key": "access", "amount": "39.00", "timing": "in_advance", "prorate": "second"}],
        "charges": [
            {
                "key": "licences",
                "meter": "licences",
                "price": {"model": "standard", "unit": "12.50"},
                "discount_percent": "10",
            },
            CALLS_GRADUATED,
            TRAFFIC_STANDARD,
        ],
    },
]

CATALOG: Event = {
    "schema": "valueverse.catalog/v1",
    "currency": "EUR",
    "timezone": HOME_ZONE,
    "rounding": {"mode": "half_up", "level": "line"},
    "grace": "2 days",
    "meters": METERS,
    "plans": PLANS,
}
