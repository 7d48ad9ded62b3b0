"""Shapes of requests and answers about webhooks."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from serving_api.ranges import Range
from serving_api.routes.identity.schemas import Rotation
from serving_api.schemas import Cursor, CustomerQuery, Limit, Page, Query
from valueverse.services.webhooks.deliveries import REPLAYED_AT_ONCE
from valueverse.services.webhooks.endpoints import TEST, TYPES

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_YEARS = range(1970, 3000)


def _instant(value: object) -> object:
    if not isinstance(value, str) or not _INSTANT.fullmatch(value):
        raise ValueError("an instant is written like 2024-02-01T00:00:00Z")
    return value


def _usual(instant: datetime) -> datetime:
    if instant.year not in _YEARS:
        raise ValueError("years from 1970 to 2999")
    return instant


_KINDS = [*TYPES, TEST]


def _known(kind: str | None) -> str | None:
    if kind is not None and kind not in _KINDS:
        raise ValueError(f"there are {', '.join(_KINDS)}")
    return kind


Instant = Annotated[datetime, BeforeValidator(_instant), AfterValidator(_usual)]
_SHOWN = "2026-01-02T03:04:05.678901Z"
_Url = Annotated[
    str,
    Field(
        min_length=1,
        max_length=2000,
        description="`https` address without login and fragment. It is judged again whenever it is connected to: an "
        "address that is not public is not reached.",
        examples=["https://example.com/hooks"],
    ),
]
_Types = Annotated[
    list[Annotated[str, Field(json_schema_extra={"enum": list(TYPES)})]],
    Field(
        max_length=100,
        description="What it is notified of; empty: of everything.",
        examples=[["invoice.finalised", "invoice.voided"]],
    ),
]
_Endpoint = Annotated[str, Field(examples=["we_0123456789abcdef01234567"])]
State = Literal["waiting", "delivered", "dead"]


class EndpointQuery(CustomerQuery):
    """Pages of endpoints."""


class NewEndpoint(BaseModel):
    """An endpoint to make."""

    model_config = ConfigDict(extra="forbid")
    url: _Url
    types: _Types = []


class EndpointChange(BaseModel):
    """What of an endpoint changes."""

    model_config = ConfigDict(extra="forbid")
    url: _Url | None = None
    types: _Types | None = None


class SecretRotation(Rotation):
    """How an endpoint's secret is replaced."""


class Endpoint(BaseModel):
    """An endpoint, without its secret."""

    endpoint: _Endpoint
    url: _Url
    types: _Types
    secret_version: Annotated[int, Field(ge=1, description="How often it was given a secret.", examples=[1])]
    previous_until: Annotated[str | None, Field(description="Until then the secret before signs as well.")]
    disabled_at: Annotated[str | None, Field(description="Nothing is sent to it since.")]
    disabled_reason: str | None
    created_at: Annotated[str, Field(examples=[_SHOWN])]


class EndpointPage(Page):
    """A page of endpoints, the oldest first."""

    data: list[Endpoint]


class EndpointSecret(Endpoint):
    """An endpoint with a new secret, shown this once."""

    secret: Annotated[
        str | None,
        Field(
            description="What verifies its notifications (Standard Webhooks); null where a request with the same "
            "Idempotency-Key had it before.",
            examples=["whsec_…"],
        ),
    ]


class Trial(BaseModel):
    """A notification that is about nothing."""

    delivery: Annotated[int, Field(description="What became of it is at `/v1/webhook-deliveries`.", examples=[48213])]


class Selected(Range):
    """Which deliveries."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    endpoint: Annotated[str | None, Field(pattern="^we_[0-9a-f]{24}$", description="To this endpoint.")] = None
    type: Annotated[
        str | None,
        AfterValidator(_known),
        Field(description="Of this type.", examples=["invoice.finalised"], json_schema_extra={"enum": _KINDS}),
    ] = None
    from_: Annotated[
        Instant | None,
        Field(alias="from", description="Written at this instant or later.", examples=["2026-01-01T00:00:00Z"]),
    ] = None
    to: Annotated[Instant | None, Field(description="Exclusive, as every `to`.")] = None


class DeliveryQuery(Selected, Query):
    """Filters of the list of deliveries."""

    state: Annotated[State | None, Field(description="`dead`: given up.")] = None
    limit: Limit = 25
    cursor: Cursor


class Replay(Selected):
    """Which deliveries are made again."""

    ends: ClassVar[dict[str, str]] = {"from_": "body.from", "to": "body.to"}
    state: Annotated[Literal["delivered", "dead"], Field(description="`dead`: those that were given up.")] = "dead"
    cursor: Cursor


class Replayed(BaseModel):
    """What is delivered again."""

    replayed: Annotated[int, Field(ge=0, le=REPLAYED_AT_ONCE, examples=[12])]
    has_more: Annotated[bool, Field(description="More are selected: ask again with `next_cursor` as `cursor`.")]
    next_cursor: Annotated[str | None, Field(description="Opaque; null if no more are selected.")]


class Delivery(BaseModel):
    """A notification to one endpoint."""

    delivery: Annotated[int, Field(examples=[48213])]
    endpoint: _Endpoint
    type: Annotated[str, Field(examples=["invoice.finalised"])]
    message_id: Annotated[str, Field(description="`webhook-id`, the same over attempts.", examples=["msg_6f1c…"])]
    state: State
    attempts: Annotated[int, Field(ge=0, description="Since it was written, or made again.")]
    status: Annotated[int | None, Field(description="Of the newest answer.", examples=[204])]
    reason: Annotated[str | None, Field(description="Why there was no answer, or no further attempt.")]
    created_at: Annotated[str, Field(examples=[_SHOWN])]
    due_at: Annotated[str | None, Field(description="When it is tried next; null if it is not.")]
    delivered_at: str | None


class DeliveryPage(Page):
    """A page of deliveries, the newest first."""

    data: list[Delivery]


class Attempt(BaseModel):
    """One attempt."""

    at: Annotated[str, Field(examples=[_SHOWN])]
    status: int | None
    reason: str | None
    milliseconds: Annotated[int, Field(ge=0)]


class DeliveryDetail(Delivery):
    """A notification to one endpoint, what it says, and every attempt."""

    body: Annotated[dict[str, Any], Field(description="As it is sent.")]
    history: Annotated[list[Attempt], Field(description="Attempts, the oldest first.")]
