"""Shapes of answers about events: their receipt, and what became of each."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from serving_api.schemas import EventKey, Key


class EventCounts(BaseModel):
    """Events of a request by what becomes of them, as far as the request shows it."""

    accepted: Annotated[int, Field(ge=0, examples=[1], description="Valid; ingestion knows whether they came before.")]
    duplicate: Annotated[int, Field(ge=0, examples=[0], description="Of an earlier event of the same request.")]
    refused: Annotated[int, Field(ge=0, examples=[0], description="Not valid; they are quarantined.")]


class EventResult(BaseModel):
    """What becomes of one event."""

    source: Annotated[str | None, Field(description="Null where it cannot be read.", examples=["gateway"])]
    id: Annotated[str | None, Field(description="Null where it cannot be read.", examples=["req-1042"])]
    status: Literal["accepted", "duplicate", "refused"]
    leaf: Annotated[
        str, Field(description="SHA-256 over 0x00 and the event's bytes, as hex: its leaf in the tree of the receipt.")
    ]
    reason: Annotated[str | None, Field(description="Stable code; absent of what is accepted.")] = None
    message: Annotated[str | None, Field(description="What is wrong, and the cure.")] = None
    path: Annotated[str | None, Field(description="The place within the event.")] = None


class EventReceipt(BaseModel):
    """Events are stored durably and wait for ingestion."""

    batch: Annotated[str, Field(description="Names the request.", examples=["0f5d7d0c-6a51-4a0e-9b7e-2f1f0c9be0d5"])]
    received_at: Annotated[str, Field(examples=["2023-11-16T09:30:02.118000Z"])]
    root: Annotated[str, Field(description="Root of the Merkle tree (RFC 6962) over the events, in hex.")]
    receipt: Annotated[
        str,
        Field(description="The root as a signed note (C2SP, Ed25519): it proves what was sent, and what not."),
    ]
    counts: EventCounts
    results: Annotated[list[EventResult], Field(description="One of each event, in the order of the request.")]


class EventStreamQuery(BaseModel):
    """Which events are followed, and how long."""

    model_config = ConfigDict(extra="forbid")
    type: Annotated[EventKey | None, Field(examples=["api.usage"])] = None
    customer: Annotated[Key | None, Field(examples=["chat"])] = None
    seconds: Annotated[
        int,
        Field(
            ge=0,
            le=300,
            description="After which it ends, sooner with the access token. 0: at once, after what came behind "
            "`Last-Event-ID`.",
        ),
    ] = 300


class WaitingEvent(BaseModel):
    """An event that the API has received and no ingestion has taken yet."""

    batch: Annotated[str, Field(description="As the receipt names the request.")]
    received_at: Annotated[str, Field(examples=["2023-11-16T09:30:02.118000Z"])]
    status: Annotated[
        Literal["accepted", "duplicate", "refused"], Field(description="What the next ingestion makes of it.")
    ]
    reason: str | None = None
    message: str | None = None
    path: str | None = None


class EventLine(BaseModel):
    """A line that bills an event."""

    invoice: Annotated[str | None, Field(description="Null while it is a draft.", examples=["northwind-ai-000002"])]
    status: Annotated[str, Field(examples=["finalised"])]
    line: Annotated[str, Field(description="Key of the line.", examples=["tokens"])]
    name: Annotated[str, Field(examples=["Tokens"])]
    kind: Literal["usage", "adjustment"]
    currency: Annotated[str, Field(examples=["USD"])]
    amount: Annotated[str, Field(description="Of the whole line.", examples=["113.28"])]


class EventFate(BaseModel):
    """What became of an event."""

    model_config = ConfigDict(extra="allow")
    source: str
    id: str
    outcome: Annotated[
        Literal["waiting", "billed", "unbilled", "quarantined", "billing_event", "rejected"],
        Field(
            description="`billing_event`: it is no usage, and was applied unless `replaced_by` is there; `rejected`: "
            "it could not be applied. `unbilled` with the reason `not_derived_yet`: the next run reads it."
        ),
    ]
    reason: Annotated[str | None, Field(description="Why it is unbilled, quarantined or rejected.")] = None
    message: str | None = None
    type: str | None = None
    time: str | None = None
    received_at: Annotated[str | None, Field(description="When ingestion took it.")] = None
    file: Annotated[str | None, Field(description="`…/inbox/…`: it came by the API.")] = None
    line: int | None = None
    amends: Annotated[str | None, Field(description="Id of the event that it amends.")] = None
    conflicts: Annotated[list[str] | None, Field(description="One of each other content that was refused.")] = None
    lines: Annotated[list[EventLine] | None, Field(description="What bills it.")] = None
    changes_nothing_of: Annotated[
        str | None, Field(description="Invoice that was made before it was received, and that it changes no amount of.")
    ] = None
    waiting: Annotated[list[WaitingEvent] | None, Field(description="What came by the API since.")] = None


class FoundEvent(BaseModel):
    """An event in a list; `GET /v1/events/{source}/{id}` says what became of it."""

    source: str | None
    id: str | None
    type: str | None
    customer: Annotated[str | None, Field(description="Of accepted events.")] = None
    subscription: str | None = None
    time: str | None = None
    received_at: Annotated[str, Field(examples=["2023-11-16T09:30:31.400000Z"])]
    file: Annotated[str, Field(description="`…/inbox/…`: it came by the API.")]
    line: int
    replaces: Annotated[str | None, Field(description="Id of the event that it amends.")] = None
    reason: Annotated[str | None, Field(description="Why it was quarantined.")] = None
    message: str | None = None
    path: str | None = None


class EventPage(BaseModel):
    """A page of events, the newest first."""

    data: list[FoundEvent]
    has_more: bool
    next_cursor: Annotated[str | None, Field(description="Opaque; null on the last page.")]
