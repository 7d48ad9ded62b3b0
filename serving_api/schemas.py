"""Shapes of requests and answers: what FastAPI checks and what the OpenAPI document says."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from serving_api.ranges import Range
from valueverse.errors import RefusalError
from valueverse.services.instants import read_instant

_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_COUNT = re.compile(r"\d{1,19}", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def is_plain(text: str) -> bool:
    """Whether ``text`` has no control letters or lone surrogates: no key has any, and Postgres takes none."""
    return _CONTROL.search(text) is None


def _day(value: object) -> object:
    # Pydantic would take 0 for the first day of 1970.
    if isinstance(value, str) and not _DAY.fullmatch(value):
        raise ValueError("a date is written YYYY-MM-DD")
    return value


def count(value: object) -> object:
    """A whole number in digits alone: pydantic would take ``1e2``."""
    if isinstance(value, str) and not _COUNT.fullmatch(value):
        raise ValueError("a whole number, in digits alone")
    return value


def _in_range(day: date) -> date:
    # At the first and the last date that there are, midnight of some time zones is beyond what an instant can be.
    if not 1970 <= day.year <= 2999:
        raise ValueError("years from 1970 to 2999")
    return day


Day = Annotated[date, BeforeValidator(_day)]
BoundedDay = Annotated[Day, AfterValidator(_in_range)]
Key = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")]
EventKey = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")]
Cursor = Annotated[
    str | None,
    Field(
        default=None,
        max_length=2048,
        description="`next_cursor` of the page before; leave out for the first page.",
    ),
]
Limit = Annotated[int, Field(ge=1, le=100, description="Rows of a page."), BeforeValidator(count)]


class Query(BaseModel):
    """Parameters of a route."""

    # A misspelt filter must not answer with everything.
    model_config = ConfigDict(extra="forbid")


def past_instant(value: object) -> object:
    """An instant that has passed, of its text."""
    if value is None:
        return None
    try:
        found = read_instant(value, "UTC", "known_at")
    except RefusalError as refusal:
        raise ValueError(refusal.message) from refusal
    if found > datetime.now(UTC):
        raise ValueError("nothing is known yet of what will be known then: an instant that has passed")
    return found


KnownAt = Annotated[
    datetime | None,
    BeforeValidator(past_instant),
    Field(
        description="As it was known at this instant (RFC 3339; a date is its beginning in UTC); now by default.",
        json_schema_extra={"type": ["string", "null"]},
        examples=["2024-01-05T00:00:00Z"],
    ),
]


class KnownAtQuery(Query):
    """As known when."""

    known_at: KnownAt = None


class InvoiceQuery(KnownAtQuery, Range):
    """Filters of the list of invoices."""

    ends: ClassVar[dict[str, str]] = {"period_from": "query.period_from", "period_to": "query.period_to"}
    customer: Annotated[Key | None, Field(description="Customer key.", examples=["chat"])] = None
    status: Annotated[
        Literal["draft", "finalised", "voided"] | None, Field(description="`voided` invoices were finalised.")
    ] = None
    currency: Annotated[str | None, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217 code.", examples=["USD"])] = None
    period_from: Annotated[
        Day | None,
        Field(
            description="Periods that start on this day or later, in the subscription's time zone.",
            examples=["2023-11-01"],
        ),
    ] = None
    period_to: Annotated[
        Day | None,
        Field(
            description="Periods that end by the start of this day (exclusive, as every `to`).",
            examples=["2023-12-01"],
        ),
    ] = None
    limit: Limit = 25
    cursor: Cursor


class EventQuery(Query, Range):
    """Filters of the list of events."""

    fate: Annotated[
        Literal["accepted", "quarantined"],
        Field(description="Events of the lake, or lines that were refused."),
    ] = "accepted"
    source: Annotated[EventKey | None, Field(examples=["gateway"])] = None
    id: Annotated[EventKey | None, Field(examples=["req-1042"])] = None
    type: Annotated[EventKey | None, Field(examples=["api.usage"])] = None
    customer: Annotated[Key | None, Field(description="Of accepted events alone.", examples=["chat"])] = None
    from_: Annotated[
        Day | None,
        Field(
            alias="from",
            description="UTC date of `time` of accepted events, of receipt of quarantined ones.",
            examples=["2023-11-01"],
        ),
    ] = None
    to: Annotated[Day | None, Field(description="Exclusive, as every `to`.", examples=["2023-12-01"])] = None
    limit: Limit = 25
    cursor: Cursor


class CustomerQuery(Query):
    """Pages of customers."""

    limit: Limit = 25
    cursor: Cursor


class RejectedEventQuery(Query):
    """Pages of rejected billing events."""

    limit: Limit = 25
    cursor: Cursor


class RefreshRequest(BaseModel):
    """A refresh token to exchange."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"refresh_token": "vvr_YWNtZQ.tZ0…"}]})
    refresh_token: Annotated[str, Field(min_length=1, max_length=256)]


class Session(BaseModel):
    """Tokens of a session."""

    access_token: Annotated[str, Field(description="JWT, RS256, good for `expires_in` seconds.")]
    refresh_token: Annotated[str, Field(description="Good once, within 30 minutes; keep it secret.")]
    token_type: Literal["Bearer"]
    expires_in: Annotated[int, Field(examples=[300])]


class Period(BaseModel):
    """Half-open stretch of time, RFC 3339 in UTC."""

    from_: Annotated[str, Field(alias="from", examples=["2023-11-01T00:00:00Z"])]
    to: Annotated[str, Field(examples=["2023-12-01T00:00:00Z"])]


_Amount = Annotated[
    str,
    Field(pattern=r"^-?\d+(\.\d+)?$", examples=["138.28"], description="Major units, the currency's decimals."),
]


class InvoiceSummary(BaseModel):
    """An invoice in a list; its lines are in the document at `/v1/invoices/{number}`."""

    invoice_id: Annotated[str, Field(examples=["3f0a6f0e-4b7c-5d5a-9f43-0d8c8a1c2b11"])]
    number: Annotated[str | None, Field(description="Null while it is a draft.", examples=["northwind-ai-000001"])]
    status: Literal["draft", "finalised", "voided"]
    customer: Annotated[str, Field(examples=["chat"])]
    subscription: str | None
    currency: Annotated[str, Field(examples=["USD"])]
    period: Period
    issued_on: Annotated[str, Field(examples=["2023-12-02"])]
    due_on: str | None
    subtotal: _Amount
    discount_total: _Amount
    tax_total: _Amount
    total: _Amount
    credit_total: _Amount
    amount_due: _Amount


class Page(BaseModel):
    """What every page of a list says."""

    has_more: bool
    next_cursor: Annotated[str | None, Field(description="Opaque; null on the last page.")]


class InvoicePage(Page):
    """A page of invoices, the latest issued first."""

    data: list[InvoiceSummary]


class Customer(BaseModel):
    """Somebody the tenant bills."""

    customer: Annotated[str, Field(examples=["chat"])]
    name: str | None
    email: str | None
    currency: str | None
    timezone: str | None
    country: str | None
    metadata: dict[str, Any] | None


class ListedCustomer(Customer):
    """A customer in a list."""

    restricted: Annotated[
        bool, Field(description="Data about the customer is on hold: erasing it is refused until it is released.")
    ]


class CustomerPage(Page):
    """A page of customers, by key."""

    data: list[ListedCustomer]


class RejectedEvent(BaseModel):
    """A billing event that was accepted and could not be applied."""

    source: Annotated[str, Field(examples=["crm"])]
    id: Annotated[str, Field(examples=["change-17"])]
    type: Annotated[str, Field(examples=["billing.subscription.changed"])]
    reason: Annotated[str, Field(description="Stable code.", examples=["unknown_plan"])]
    message: Annotated[str, Field(examples=["no catalog in force then has the plan 'por'"])]
    time: Annotated[str | None, Field(description="When it would have taken effect, UTC.")]
    decided_at: Annotated[str, Field(description="When the newest billing run could not apply it, UTC.")]


class RejectedEventPage(Page):
    """A page of rejected billing events, by source and id."""

    data: list[RejectedEvent]


class InvoiceLine(BaseModel):
    """A line of an invoice."""

    model_config = ConfigDict(extra="allow")
    key: str
    kind: Literal["fee", "usage", "minimum", "adjustment", "one_off", "outcome"]
    description: str
    amount: _Amount
    amount_precise: str


class Invoice(BaseModel):
    """The invoice document, byte for byte as its hash covers it; only `status` is current."""

    model_config = ConfigDict(extra="allow")
    number: str
    tenant: str
    customer: str
    status: Literal["finalised", "voided"]
    currency: str
    lines: list[InvoiceLine]
    total: _Amount
    amount_due: _Amount
    content_hash: str


class AuditEntryQuery(Query):
    """Filters of the audit log."""

    object: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=300,
            pattern=r"^[^\x00-\x1f\x7f-\x9f]+$",
            description="What entries are about.",
            examples=["northwind-ai-000002"],
        ),
    ] = None
    limit: Limit = 25
    cursor: Cursor


_Size = Annotated[
    int | None,
    Field(ge=1, le=999_999_999, description="Entries of the tree; the newest checkpoint's if left out."),
    BeforeValidator(count),
]


class ProofQuery(Query):
    """Of which tree."""

    size: _Size = None


class ConsistencyQuery(Query):
    """Of which trees."""

    from_: Annotated[
        int,
        Field(alias="from", ge=1, le=999_999_999, description="Entries of the earlier tree.", examples=[1]),
        BeforeValidator(count),
    ]
    to: _Size = None


_Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$", description="32 bytes in hex.")]


class AuditEntry(BaseModel):
    """Something that was done."""

    sequence: Annotated[int, Field(ge=1, description="Its place in the log, from 1.")]
    at: Annotated[str, Field(examples=["2026-01-02T03:04:05.678901Z"])]
    action: Annotated[str, Field(examples=["invoice.finalised"])]
    actor: Annotated[str, Field(description="Prefix of a key, pseudonym of a person, or `system`.")]
    object: Annotated[str, Field(examples=["northwind-ai-000002"])]
    digest: Annotated[str, Field(description="SHA-256 of what was written, in hex; empty without content.")]
    request: Annotated[str, Field(description="X-Request-ID of the request that did it; empty for the platform's own.")]
    chain_hash: _Hash
    entry: Annotated[str, Field(description="Canonical JSON (RFC 8785) as it is hashed.")]


class AuditEntryPage(Page):
    """A page of the audit log."""

    data: list[AuditEntry]


class AuditCheckpoint(BaseModel):
    """Size and root of the log, signed."""

    size: Annotated[int, Field(ge=1)]
    root: _Hash
    note: Annotated[str, Field(description="Signed note (C2SP tlog-checkpoint).")]
    public_key: Annotated[str, Field(description="Ed25519, PEM; compare it with one received apart.")]


class AuditProof(BaseModel):
    """That an entry is in a tree."""

    sequence: Annotated[int, Field(ge=1, description="Leaf index is one less.")]
    size: Annotated[int, Field(ge=1)]
    entry: Annotated[str, Field(description="Canonical JSON (RFC 8785) as it is hashed.")]
    leaf: _Hash
    root: _Hash
    proof: list[_Hash]


class AuditConsistency(BaseModel):
    """That a tree continues an earlier one."""

    from_: Annotated[int, Field(alias="from", ge=1)]
    to: Annotated[int, Field(ge=1)]
    from_root: _Hash
    to_root: _Hash
    proof: list[_Hash]


class Health(BaseModel):
    """How the service is."""

    status: Annotated[str, Field(examples=["ok"])]


class Readiness(Health):
    """Whether requests can be answered: `ready` or `unavailable`."""

    database: Annotated[str, Field(examples=["ok"])]
    valkey: Annotated[str, Field(examples=["ok"])]
