"""Billing events of the types that state what has happened: pauses, payments, credits, and changes of customers.

Their ids follow from what they state and when: the same statement about the same instant is the same event.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from valueverse.dates import utc_text
from valueverse.events import SHAPES
from valueverse.services.instants import read_instant
from valueverse.services.subscriptions.account_events import (
    new_event,
    planned_event,
    refuse_same_instant,
    stated_fields,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from valueverse.services.subscriptions.account_events import Account, PlannedEvent


def record_event(account: Account, kind: str, fields: Mapping[str, Any], *, on: str | None) -> PlannedEvent:
    """The event of a type that states ``fields``.

    Args:
        account: what is known.
        kind: the type.
        fields: ``data`` of the event, of the right shape.
        on: when it takes effect; now by default.

    Raises:
        RefusalError: ``unknown_subscription``, ``unknown_customer``; ``already_stated`` and
            ``already_ended`` as for changes; what ingestion or billing would refuse.
    """
    data = stated_fields(fields)
    customer, zone = _whom(account, data)
    time = account.moment if on is None else read_instant(on, zone, account.names.of("time"))
    noun, verb = kind.removeprefix("billing.").replace("_", "-").split(".")
    mark = hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:12]
    about = data[next(iter(SHAPES[kind].model_fields))]
    name = f"{noun}-{verb}/{about}/{utc_text(time)}/{mark}"
    event = new_event(account, f"{noun}s", name, kind, time, data)
    if "subscription" in data:
        refuse_same_instant(account, event, time)
    return planned_event(account, event, customer)


def _whom(account: Account, data: Mapping[str, Any]) -> tuple[str, str]:
    """The customer whom an event is about, empty where it names an invoice; and the zone of its local dates.

    Raises:
        RefusalError: ``unknown_subscription``, ``unknown_customer``.
    """
    if "subscription" in data:
        segment = account.subscription(data["subscription"])
        return segment["customer"], segment["timezone"]
    if "customer" in data:
        account.require_customer(data["customer"], "data.customer")
        return data["customer"], account.zone_of(data["customer"])
    return "", account.timezone
