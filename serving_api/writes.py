"""Which routes write which billing events, and what their bodies may hold: the models that validate the events."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from serving_api.money_schemas import InvoicePreview
from serving_api.schemas import Customer
from valueverse.catalog import parse_catalog
from valueverse.errors import RefusalError
from valueverse.events import ENTRIES, SHAPES, judge_billing_event, load_exact_json, plain_numbers
from valueverse.services.subscriptions import account_events
from valueverse.services.subscriptions.account_events import Account, PlannedEvent
from valueverse.services.subscriptions.event_names import OPTIONS, Names
from valueverse.services.subscriptions.recorded_events import record_event

REFERENCE = "#/components/schemas/{model}"
_ON: dict[str, Any] = {"type": ["string", "null"], "examples": ["2024-02-01"]}
_TODAY = "When it takes effect: a local date or an instant (RFC 3339); the beginning of today by default."
_NOW = "When it took or takes effect: a local date or an instant (RFC 3339); now by default."

_PREVIEW = "True: nothing is written, and `preview` of the answer says what the event would change of invoices."

Plan = Callable[[Account, "Statement"], PlannedEvent]


@dataclass(frozen=True)
class Statement:
    """What a request states: the type of the event, its ``data``, and from when on; ``preview``: what it would change
    is asked alone."""

    kind: str
    data: Mapping[str, Any]
    on: str | None
    preview: bool = False

    def below(self, name: str) -> tuple[str, dict[str, Any]]:
        """The key that stands in a field, and the other fields."""
        return self.data[name], {field: value for field, value in self.data.items() if field != name}


@dataclass(frozen=True)
class Write:
    """A route that writes billing events of one type, or of one of several.

    Attributes:
        method: of the route.
        path: of the route; ``{key}`` stands for ``hidden``.
        kinds: types of the event by the body's ``type``; a single one has no ``type``.
        summary: a few words.
        plan: what judges and makes the event.
        hidden: field of the event that is in the path.
        default: what ``on`` is if left out.
        kind: ``type`` if left out.
    """

    method: str
    path: str
    kinds: Mapping[str, str]
    summary: str
    plan: Plan
    hidden: str = ""
    default: str = _NOW
    kind: str = ""

    @property
    def first(self) -> str:
        """A type of the event; all of them have the same fields."""
        return next(iter(self.kinds.values()))

    @property
    def fields(self) -> list[str]:
        """What the body may hold."""
        named = [field.alias or name for name, field in SHAPES[self.first].model_fields.items()]
        more = [*(["type"] if len(self.kinds) > 1 else []), "on", *(["preview"] if self.has_preview else [])]
        return [*(name for name in named if name != self.hidden), *more]

    @property
    def has_preview(self) -> bool:
        """Whether its effect on money can be asked for before it is written."""
        return "subscription" in SHAPES[self.first].model_fields

    @property
    def names(self) -> Names:
        """What a client calls the places of the event."""
        about = next(iter(SHAPES[self.first].model_fields))
        places = {place: place.removeprefix("data.") for place in OPTIONS.places}
        return Names(places | {"id": about, "time": "on"}, "`POST /v1/customers` creates it")

    @property
    def description(self) -> str:
        """What it does."""
        effects = [ENTRIES[kind].effect for kind in self.kinds.values()]
        events = ", ".join(f"`{kind}`" for kind in self.kinds.values())
        return f"{effects[0]} It becomes a billing event ({events}), which the next billing run takes."

    def read(self, raw: bytes, tenant: str, key: str) -> Statement:
        """What a body states, of the right shape.

        Raises:
            RefusalError: ``malformed`` for what is no JSON; paths begin with ``body`` or are ``path.key``.
        """
        stated = read_object(raw)
        if unknown := next((name for name in stated if name not in self.fields), None):
            raise RefusalError.unknown(
                "unknown_field", f"no such field: {unknown[:60]!r}", unknown, self.fields, f"body.{unknown[:60]}"
            )
        on, named = stated.pop("on", None), stated.pop("type", None) or self.kind
        preview = stated.pop("preview", False)
        if not isinstance(preview, bool):
            raise RefusalError("bad_billing_event", "true or false is expected here", "body.preview")
        if not isinstance(on, str | None):
            raise RefusalError("bad_time", "an instant or a date is expected here, as text", "body.on")
        kind = self.first if len(self.kinds) == 1 else self.kinds.get(str(named))
        if kind is None:
            raise RefusalError("unknown_type", f"one of {', '.join(self.kinds)} is expected here", "body.type")
        data = {self.hidden: key, **stated} if self.hidden else stated
        try:
            judge_billing_event(kind, tenant, data, parse_catalog)
        except RefusalError as refusal:
            raise self.placed(refusal) from refusal
        return Statement(kind, data, on, preview)

    def placed(self, refusal: RefusalError) -> RefusalError:
        """The refusal with its place in the request."""
        name = refusal.path.removeprefix("data.")
        path = "path.key" if self.hidden and name == self.hidden else f"body.{name}" if name else "body"
        return RefusalError(refusal.code, refusal.message, path, refusal.suggestion)

    def body(self) -> dict[str, Any]:
        """The request body as OpenAPI describes it."""
        schema = SHAPES[self.first].model_json_schema(by_alias=True, ref_template=REFERENCE)
        properties = {name: part for name, part in schema["properties"].items() if name != self.hidden}
        required = [name for name in schema.get("required", ()) if name != self.hidden]
        example = {name: value for name, value in ENTRIES[self.first].example.items() if name != self.hidden}
        if len(self.kinds) > 1:
            kinds: dict[str, Any] = {"type": "string", "enum": list(self.kinds), "description": "What has happened."}
            properties["type"] = kinds | ({"default": self.kind} if self.kind else {})
            required += [] if self.kind else ["type"]
            example["type"] = next(iter(self.kinds))
        properties["on"] = _ON | {"description": self.default}
        if self.has_preview:
            properties["preview"] = {"type": "boolean", "default": False, "description": _PREVIEW}
        for name, part in properties.items():
            part.pop("title", None)
            if name in example:
                part["examples"] = [example[name]]
        described = {"type": "object", "properties": properties, "additionalProperties": False}
        content = {"schema": described | ({"required": required} if required else {}), "example": example}
        return {"required": bool(required), "content": {"application/json": content}}


class Segment(BaseModel):
    """A stretch of a subscription on one version of one plan, [from, to)."""

    plan: Annotated[str, Field(examples=["pro"])]
    plan_version: Annotated[int, Field(examples=[1])]
    currency: Annotated[str, Field(examples=["USD"])]
    timezone: Annotated[str, Field(description="IANA time zone of its periods.", examples=["UTC"])]
    from_: Annotated[str, Field(alias="from", description="UTC.", examples=["2024-01-01T00:00:00Z"])]
    to: Annotated[str | None, Field(description="Null: open.")]
    trial_until: str | None
    quantities: Annotated[dict[str, Any] | None, Field(examples=[{"seats": "5"}])]
    overrides: dict[str, Any] | None


class Written(BaseModel):
    """A write: the billing event that it is, and what is known with it."""

    status: Annotated[
        Literal["recorded", "known", "preview"],
        Field(
            description="`known`: this very event was there already; nothing changed. `preview`: nothing is written."
        ),
    ]
    batch: Annotated[str | None, Field(description="Receipt, `object` of its entry in the audit log.")]
    event: Annotated[dict[str, Any], Field(description="The CloudEvent, as a file would hold it.")]
    customer: Annotated[Customer | None, Field(description="Of a write about a customer.")] = None
    catalog: Annotated[dict[str, Any] | None, Field(description="What a published catalog sells, by key.")] = None
    segments: Annotated[
        list[Segment] | None, Field(description="Of a write about a subscription: its stretches, the oldest first.")
    ] = None
    preview: Annotated[
        InvoicePreview | None,
        Field(description="Of a write about a subscription with `preview`: what it would change."),
    ] = None


def shared_schemas() -> dict[str, Any]:
    """Parts of bodies that have names of their own."""
    made = (SHAPES[write.first].model_json_schema(by_alias=True, ref_template=REFERENCE) for write in WRITES)
    return {name: part for schema in made for name, part in schema.get("$defs", {}).items()}


def read_object(raw: bytes) -> dict[str, Any]:
    """A body's fields that are not null; nothing at all states nothing.

    Raises:
        RefusalError: ``malformed``; ``inexact_number`` with its path.
    """
    try:
        found = load_exact_json(raw.decode() or "{}")
    except UnicodeDecodeError as error:
        raise RefusalError("malformed", "the body is no UTF-8 text") from error
    except RefusalError as refusal:
        raise RefusalError(refusal.code, refusal.message, f"body.{refusal.path}" if refusal.path else "") from refusal
    if not isinstance(found, dict):
        raise RefusalError("bad_billing_event", "an object of fields is expected here", "body")
    return {name: plain_numbers(value) for name, value in found.items() if value is not None}


def _create(account: Account, stated: Statement) -> PlannedEvent:
    key, fields = stated.below("customer")
    metadata = fields.pop("metadata", {})
    return account_events.create_customer(account, key, on=stated.on, fields=fields, metadata=metadata)


def _start(account: Account, stated: Statement) -> PlannedEvent:
    key, fields = stated.below("subscription")
    return account_events.start_subscription(account, key, on=stated.on, fields=fields)


def _change(account: Account, stated: Statement) -> PlannedEvent:
    key, fields = stated.below("subscription")
    return account_events.change_subscription(account, key, on=stated.on, fields=fields)


def _end(account: Account, stated: Statement) -> PlannedEvent:
    return account_events.end_subscription(account, stated.data["subscription"], on=stated.on)


def _record(account: Account, stated: Statement) -> PlannedEvent:
    return record_event(account, stated.kind, stated.data, on=stated.on)


def _one(kind: str) -> dict[str, str]:
    return {"": f"billing.{kind}"}


def _several(noun: str, *verbs: str) -> dict[str, str]:
    return {verb: f"billing.{noun}.{verb}" for verb in verbs}


_OF = "/v1/subscriptions/{key}"
WRITES = (
    Write("POST", "/v1/customers", _one("customer.created"), "Create a customer", _create, default=_TODAY),
    Write("PATCH", "/v1/customers/{key}", _one("customer.updated"), "Change a customer", _record, "customer"),
    Write("POST", "/v1/subscriptions", _one("subscription.started"), "Start a subscription", _start, default=_TODAY),
    Write(
        "POST", f"{_OF}/change", _one("subscription.changed"), "Change a subscription", _change, "subscription", _TODAY
    ),
    Write("POST", f"{_OF}/pause", _one("subscription.paused"), "Pause a subscription", _record, "subscription"),
    Write("POST", f"{_OF}/resume", _one("subscription.resumed"), "Resume a subscription", _record, "subscription"),
    Write("POST", f"{_OF}/end", _one("subscription.ended"), "End a subscription", _end, "subscription", _TODAY),
    Write(
        "POST",
        "/v1/payments",
        _several("payment", "received", "failed", "refunded"),
        "State a payment",
        _record,
        kind="received",
    ),
    Write("POST", "/v1/credit-notes", _one("credit_note.issued"), "Issue a credit note", _record),
    Write("POST", "/v1/one-offs", _one("one_off.added"), "Add a single line", _record),
    Write("POST", "/v1/wallets", _several("wallet", "granted", "purchased", "voided"), "Give or take credit", _record),
    Write("POST", "/v1/invoices/{key}/void", _one("invoice.voided"), "Void an invoice", _record, "invoice"),
)
