"""Billing events that create customers and start, change or end subscriptions: judged as ingestion and billing judge.

The log is the only source: what is written is a file in the tenant's landing folder. Ids follow from what the event
states, so that the same event is delivered once; once it was voided, stating it again is another event.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import polars as pl

from valueverse.catalog import CatalogHistory
from valueverse.dates import utc_text
from valueverse.errors import RefusalError, did_you_mean
from valueverse.events import NAME_RULE, SHAPES
from valueverse.services.ingestion.deliver import deliver
from valueverse.services.instants import read_instant, read_time_zone
from valueverse.services.subscriptions.billing_log import VOID_IT, judged_event, named_event, read_log
from valueverse.services.subscriptions.event_names import OPTIONS, Names
from valueverse.subscriptions import build_timeline, event_field

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from valueverse.platform.lake import Lake
    from valueverse.platform.settings import Settings
    from valueverse.services.subscriptions.billing_log import BillingLog, WaitingRequest
    from valueverse.subscriptions import Timeline

CREATED = "billing.customer.created"
STARTED = "billing.subscription.started"
CHANGED = "billing.subscription.changed"
ENDED = "billing.subscription.ended"
PAUSED = "billing.subscription.paused"
RESUMED = "billing.subscription.resumed"
_TURNS = (PAUSED, RESUMED)
UPDATED = "billing.customer.updated"
_PLACES = {
    "unknown_customer": "data.customer", "unknown_plan": "data.plan", "unknown_fee": "data.quantities",
    "bad_time": "time", "ends_before_start": "data.ends_at", "already_ended": "time", "unknown_subscription": "time",
}  # fmt: skip
"""What a reason to reject an event is about; the key in all other cases."""


@dataclass(frozen=True)
class Account:
    """A tenant's billing log and what it comes to, at an instant."""

    log: BillingLog
    timeline: Timeline
    history: CatalogHistory
    moment: datetime
    names: Names = OPTIONS

    @property
    def timezone(self) -> str:
        """The tenant's own."""
        return str(self.timeline.tenants["timezone"][0])

    def zone_of(self, customer: str) -> str:
        """The time zone of a customer: its own, or the tenant's."""
        zones = self.timeline.customers.filter(pl.col("customer") == customer)["timezone"].drop_nulls()
        return str(zones[0]) if len(zones) else self.timezone

    def require_customer(self, customer: str, path: str) -> None:
        """Refuse a customer that no event created; ``path`` is its place in the event.

        Raises:
            RefusalError: ``unknown_customer``.
        """
        if customer not in self.customers():
            message, suggestion = _customer_hint(self, {"data": {"customer": customer}})
            raise RefusalError("unknown_customer", message, self.names.of(path), suggestion)

    def customers(self) -> list[str]:
        """Keys of the customers that events created."""
        return self.timeline.customers["customer"].to_list()

    def subscription(self, key: str) -> dict[str, Any]:
        """The newest segment (SEGMENTS) of a subscription.

        Raises:
            RefusalError: ``unknown_subscription``.
        """
        rows = self.timeline.segments.filter(pl.col("subscription") == key).tail(1).to_dicts()
        if not rows:
            known = self.timeline.segments["subscription"].unique().to_list()
            what = f"the tenant {self.log.tenant!r} has no subscription {key!r}"
            raise RefusalError.unknown("unknown_subscription", what, key, known, self.names.of("id"))
        return rows[0]


@dataclass(frozen=True)
class PlannedEvent:
    """A billing event that may be delivered.

    Attributes:
        event: the CloudEvent.
        customer: whom it is about.
        after: the log with it.
        file: name of the landing file that would hold it.
        known: the lake or a waiting file holds this event already.
    """

    event: dict[str, Any]
    customer: str
    before: BillingLog
    after: BillingLog
    file: str
    known: bool

    def deliver(self, settings: Settings) -> tuple[Path, bool]:
        """Write the event into the tenant's landing folder; the file, and whether it was written now."""
        if self.known:
            return settings.landing / self.before.tenant / self.file, False
        return deliver(settings.landing, self.before.tenant, self.file, [self.event])


def read_account(
    lake: Lake,
    landing: Path,
    tenant: str,
    moment: datetime,
    requests: Sequence[WaitingRequest] = (),
    names: Names = OPTIONS,
) -> Account:
    """What is known of a tenant; ``requests`` are those that wait in its inbox.

    Raises:
        RefusalError: ``unknown_tenant``, ``bad_tenant``.
    """
    log = read_log(lake, landing, tenant, moment, requests)
    log.require_tenant(lake, "`valueverse tenants add` makes one")
    facts = log.facts()
    history = CatalogHistory.from_facts(facts)
    return Account(log, build_timeline(facts, history.plans, None), history, moment, names)


def create_customer(
    account: Account, customer: str, *, on: str | None, fields: Mapping[str, Any], metadata: Mapping[str, Any]
) -> PlannedEvent:
    """The event that creates a customer.

    Raises:
        RefusalError: ``customer_exists`` where events state something else of it; what ingestion would refuse.
    """
    data = {"customer": customer} | stated_fields(fields) | ({"metadata": dict(metadata)} if metadata else {})
    time = begin_of(account, on, account.timezone)
    event = new_event(account, "customers", f"customer-created/{customer}", CREATED, time, data)
    known = account.log.find(event["source"], event["id"])
    repeated = known is not None and json.loads(known["data"] or "null") == data
    if not repeated and (known is not None or customer in account.customers()):
        raise RefusalError(
            "customer_exists",
            f"there is a customer {customer!r}: a billing.customer.updated event changes it (docs/events.md)",
            account.names.of("id"),
        )
    return planned_event(account, event, customer, {"data.customer": account.names.of("id")}, known=repeated)


def start_subscription(account: Account, key: str, *, on: str | None, fields: Mapping[str, Any]) -> PlannedEvent:
    """The event that starts a subscription.

    Raises:
        RefusalError: what ingestion or billing would refuse, naming place and cure.
    """
    data = {"subscription": key} | stated_fields(fields)
    zone = read_time_zone(data.get("timezone"), account.names.of("data.timezone")) if "timezone" in data else None
    time = begin_of(account, on, zone or account.zone_of(data["customer"]))
    event = new_event(account, "subscriptions", f"subscription-started/{key}/{utc_text(time)}", STARTED, time, data)
    return planned_event(account, event, data["customer"])


def change_subscription(account: Account, key: str, *, on: str | None, fields: Mapping[str, Any]) -> PlannedEvent:
    """The event that changes a subscription.

    Raises:
        RefusalError: ``nothing_to_change``, ``unknown_subscription``; ``already_stated`` where another change, and
            ``already_ended`` where an end, holds from that instant on; what ingestion or billing would refuse.
    """
    stated = stated_fields(fields)
    if not stated.keys() - {"effective"}:
        plan, version, quantities = (account.names.of(f"data.{one}") for one in ("plan", "plan_version", "quantities"))
        raise RefusalError("nothing_to_change", f"state what changes: {plan}, {version} or {quantities}", plan)
    segment = account.subscription(key)
    data = {"subscription": key} | stated
    time = begin_of(account, on, segment["timezone"])
    mark = hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:12]
    event = new_event(
        account, "subscriptions", f"subscription-changed/{key}/{utc_text(time)}/{mark}", CHANGED, time, data
    )
    refuse_same_instant(account, event, time)
    return planned_event(account, event, segment["customer"])


def end_subscription(account: Account, key: str, *, on: str | None) -> PlannedEvent:
    """The event that ends a subscription.

    Raises:
        RefusalError: ``unknown_subscription``; what ingestion or billing would refuse.
    """
    segment = account.subscription(key)
    time = begin_of(account, on, segment["timezone"])
    data = {"subscription": key}
    event = new_event(account, "subscriptions", f"subscription-ended/{key}/{utc_text(time)}", ENDED, time, data)
    return planned_event(account, event, segment["customer"])


def stated_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that say something."""
    return {name: value for name, value in fields.items() if value is not None and value != {}}


def begin_of(account: Account, on: str | None, zone: str) -> datetime:
    """When the event takes effect: by default at the beginning of today, so that it is the same one all day."""
    return read_instant(
        on or account.moment.astimezone(ZoneInfo(zone)).date().isoformat(), zone, account.names.of("time")
    )


def new_event(
    account: Account, source: str, key: str, kind: str, time: datetime, data: Mapping[str, Any]
) -> dict[str, Any]:
    """A billing event under an id that is free; ``data`` in the order of docs/events.md, however it was stated."""
    fields = [field.alias or name for name, field in SHAPES[kind].model_fields.items()]
    ordered = {name: data[name] for name in [*fields, *(data.keys() - set(fields))] if name in data}
    event = {
        "specversion": "1.0",
        "id": key,
        "source": f"valueverse/{source}",
        "type": kind,
        "time": utc_text(time),
        "tenant": account.log.tenant,
        "data": ordered,
    }
    return account.log.under_free_id(event)


def planned_event(
    account: Account,
    event: dict[str, Any],
    customer: str,
    places: Mapping[str, str] | None = None,
    *,
    known: bool = False,
) -> PlannedEvent:
    """The event as it may be delivered, judged as ingestion and billing will judge it.

    Args:
        account: what is known.
        event: of ``new_event``.
        customer: whom it is about.
        places: names of places of this event that ``account.names`` calls otherwise.
        known: it was found to be the one that the log holds.

    Raises:
        RefusalError: ``already_stated``; what ingestion or billing would refuse.
    """
    verb = event["type"].removeprefix("billing.").replace(".", "-")
    key = next(iter(event["data"].values()))
    readable = re.sub(r"[^A-Za-z0-9_.-]", "-", key)[:40]
    mark = hashlib.sha256(event["id"].encode()).hexdigest()[:12]
    file = f"{verb}-{readable}-{mark}.ndjson"
    log = account.log
    if known or _is_received(account, event):
        return PlannedEvent(event, customer, log, log, file, known=True)
    try:
        row = judged_event(event, log.tenant, account.moment)
    except RefusalError as refusal:
        place = (places or {}).get(refusal.path) or account.names.of(refusal.path)
        # The id is made of the key: nobody has typed it.
        message = f"{key[:60]!r} is not {NAME_RULE}" if refusal.path == "id" else refusal.message
        raise RefusalError(refusal.code, message, place, refusal.suggestion) from refusal
    after = log.plus(row)
    _refuse_rejected(account, after, event)
    return PlannedEvent(event, customer, log, after, file, known=False)


def _is_received(account: Account, event: dict[str, Any]) -> bool:
    """Whether the log holds this very event.

    Raises:
        RefusalError: ``already_stated`` where it holds another one of this id.
    """
    known = account.log.find(event["source"], event["id"])
    if known is None:
        return False
    if json.loads(known["data"] or "null") != event["data"]:
        raise RefusalError(
            "already_stated",
            f"{event['id']!r} was delivered with other content: amend it by an event that replaces it (docs/events.md)",
            account.names.of("id"),
        )
    return True


def refuse_same_instant(account: Account, event: dict[str, Any], time: datetime) -> None:
    """Refuse a change from an instant at which another one, or an end, begins: received together, ids would decide.

    Raises:
        RefusalError: ``already_ended``, ``already_stated``.
    """
    key, on = event["data"]["subscription"], account.names.of("time")
    alike = _TURNS if event["type"] in _TURNS else (event["type"],)
    for row in account.log.at(time).filter(event_field("subscription") == key).iter_rows(named=True):
        if row["type"] == ENDED:
            cure = f"choose an earlier {on}, or {VOID_IT}"
            raise RefusalError("already_ended", f"{key!r} ends at that instant ({named_event(row)}): {cure}", on)
        if row["type"] in alike and (row["source"], row["id"]) != (event["source"], event["id"]):
            what = f"a change of {key!r} from that instant on is there already ({named_event(row)})"
            raise RefusalError("already_stated", f"{what}: choose another {on}, or {VOID_IT}", on)


def _refuse_rejected(account: Account, after: BillingLog, event: dict[str, Any]) -> None:
    """Refuse an event that billing would list as rejected, naming the place and what could stand there."""
    timeline = build_timeline(after.facts(), account.history.plans, None)
    mine = timeline.rejected.filter(pl.col("source") == event["source"], pl.col("event_id") == event["id"])
    for row in mine.head(1).iter_rows(named=True):
        hint = _HINTS.get(row["reason"])
        message, suggestion = hint(account, event) if hint else (row["message"], None)
        raise RefusalError(row["reason"], message, account.names.of(_PLACES.get(row["reason"], "id")), suggestion)


def _customer_hint(account: Account, event: dict[str, Any]) -> tuple[str, str | None]:
    customer, tenant = event["data"]["customer"], account.log.tenant
    hint = did_you_mean(customer, account.customers())
    create = account.names.creation.format(customer=customer, tenant=tenant)
    return f"the tenant {tenant!r} has no customer {customer!r}{hint.ending} ({create})", hint.name


def _plan_of(account: Account, event: dict[str, Any]) -> str:
    """The plan that an event names, or else the one that it changes: the one at its time, or what is planned."""
    data = event["data"]
    held = account.timeline.segments.filter(pl.col("subscription") == data["subscription"])
    if data.get("effective") != "period_end":
        held = held.filter(pl.col("from") <= datetime.fromisoformat(event["time"]))
    running = held["plan"].tail(1).to_list()
    return str(data.get("plan") or (running or [account.subscription(data["subscription"])["plan"]])[0])


def _plan_hint(account: Account, event: dict[str, Any]) -> tuple[str, str | None]:
    data, plans, plan = event["data"], account.history.plans, _plan_of(account, event)
    own = plans.filter(pl.col("plan") == plan)
    version = data.get("plan_version")
    versions = own if version is None else own.filter(pl.col("version") == version)
    if own.is_empty():
        hint = did_you_mean(plan, plans["plan"].unique().to_list())
        return f"no catalog of the tenant {account.log.tenant!r} has the plan {plan!r}{hint.ending}", hint.name
    if versions.is_empty():
        known = ", ".join(str(one) for one in own["version"].unique().sort())
        return (
            f"the plan {plan!r} has no version {version}: it has {known} ({account.names.of('data.plan_version')})",
            None,
        )
    since = utc_text(versions["effective_at"].min())  # type: ignore[arg-type]  # an instant
    return (
        f"the plan {plan!r} is sold from {since} on: state that instant or a later one by {account.names.of('time')}",
        None,
    )


def _fee_hint(account: Account, event: dict[str, Any]) -> tuple[str, str | None]:
    data, plan = event["data"], _plan_of(account, event)
    counted = account.history.plans.filter(pl.col("plan") == plan)["counted_fees"].explode().drop_nulls().unique()
    unknown = next((name for name in data["quantities"] if name not in set(counted)), next(iter(data["quantities"])))
    hint = did_you_mean(unknown, counted.to_list())
    return f"the plan {plan!r} has no fee {unknown!r} with a unit_amount{hint.ending}", hint.name


def _start_hint(account: Account, event: dict[str, Any]) -> tuple[str, None]:
    """Of an event before the start of its subscription, which ``Account.subscription`` has found."""
    segment = account.subscription(event["data"]["subscription"])
    start, local = (
        segment["subscription_start"],
        segment["subscription_start"].astimezone(ZoneInfo(segment["timezone"])),
    )
    is_midnight = local.time() == datetime.min.time()
    since, at = (local.date().isoformat(), "date") if is_midnight else (utc_text(start), "instant")
    cure = f"state that {at} or a later one by {account.names.of('time')}"
    return f"the subscription {segment['subscription']!r} starts at {since}: {cure}", None


_HINTS = {
    "unknown_customer": _customer_hint, "unknown_plan": _plan_hint, "unknown_fee": _fee_hint,
    "unknown_subscription": _start_hint,
}  # fmt: skip
