"""Lago: an event names its subscription alone, and is unique within it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valueverse.errors import RefusalError
from valueverse.landing.dialects.exact_json import read_json
from valueverse.landing.dialects.translation import Fields, Names, Translation, listed

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import datetime

_NAMES = Names(
    {
        "id": "transaction_id",
        "source": "external_subscription_id",
        "subject": "external_subscription_id",
        "type": "code",
        "time": "timestamp",
        "data": "properties",
    }
)
_PRECISE = "precise_total_amount_cents"


def lago_event(body: bytes, moment: datetime, owners: Callable[[Collection[str]], Mapping[str, str]]) -> Translation:
    """The event of ``POST /api/v1/events``; ``owners`` gives the customers of subscriptions.

    Raises:
        RefusalError: ``malformed_body``.
    """
    value = read_json(body)
    if not isinstance(value, dict) or not isinstance(value.get("event"), dict):
        raise RefusalError("malformed_body", 'the body must be an object with an object "event"', "event")
    return _translated([value["event"]], moment, owners)


def lago_batch(body: bytes, moment: datetime, owners: Callable[[Collection[str]], Mapping[str, str]]) -> Translation:
    """The events of ``POST /api/v1/events/batch``.

    Raises:
        RefusalError: ``malformed_body``, ``too_many_events``.
    """
    return _translated(listed(read_json(body), "events"), moment, owners)


def _translated(
    events: list[Any], moment: datetime, owners: Callable[[Collection[str]], Mapping[str, str]]
) -> Translation:
    found = Translation(_NAMES)
    named = [one.get("external_subscription_id") for one in events if isinstance(one, dict)]
    customers = owners({one for one in named if isinstance(one, str)})
    for number, one in enumerate(events):
        event = Fields(one, number, "transaction_id", found)
        subscription = event.text("external_subscription_id")
        if subscription and subscription not in customers:
            event.refuse("external_subscription_id", "no subscription of yours has this key: start it first")
        properties = event.flat("properties")
        precise = event.optional(_PRECISE)
        taken = {
            "id": event.text("transaction_id"),
            "source": f"lago/{subscription}",
            "type": event.event_type("code"),
            "subject": f"{customers.get(subscription, '')}/{subscription}",
            "time": event.unix("timestamp", moment),
            "data": properties if precise is None else {_PRECISE: precise, **properties},
        }
        shown = {
            "transaction_id": taken["id"],
            "external_subscription_id": subscription,
            "code": taken["type"],
            "timestamp": taken["time"],
            _PRECISE: precise,
            "properties": properties,
        }
        found.add(taken, shown)
    return found
