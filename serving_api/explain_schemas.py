"""Shapes of questions about what lines of invoices came from, and of their answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from serving_api.schemas import Cursor, KnownAtQuery, Period, count


class ExplainQuery(KnownAtQuery):
    """Which events of the lines, and as known when."""

    limit: Annotated[int, Field(ge=0, le=1000, description="Events of each line."), BeforeValidator(count)] = 20
    cursor: Cursor


class LineEvent(BaseModel):
    """An event that a line counts, or that changed what it counts."""

    source: Annotated[str, Field(examples=["gateway"])]
    id: Annotated[str, Field(examples=["req-1042"])]
    amends: Annotated[str | None, Field(description="Id of the event that it amends.")]
    time: Annotated[str, Field(examples=["2023-11-16T09:30:00Z"])]
    meter: Annotated[str | None, Field(examples=["context_tokens"])]
    value: Annotated[str | None, Field(examples=["1310"])]
    text: Annotated[str | None, Field(description="What a meter of unique values counts.")]
    dimensions: dict[str, str | None] | None
    change: Annotated[
        Literal["late", "amended", "voided", "joined", "left"] | None,
        Field(description="Of a correction: what became of it since the line was billed."),
    ] = None
    changed_at: str | None = None


class Step(BaseModel):
    """How an amount adds up."""

    text: Annotated[str, Field(examples=["0 to 50,000 at 0.0015 each"])]
    amount: Annotated[str, Field(examples=["75.000 USD"])]


class ExplainedLine(BaseModel):
    """A line, what it was made from, and some of its events in the order of time."""

    model_config = ConfigDict(extra="allow")
    key: Annotated[str, Field(examples=["tokens"])]
    kind: Annotated[str, Field(examples=["usage"])]
    description: str
    service_period: Period
    meter: str | None
    dimensions: dict[str, str | None] | None
    quantity: Annotated[str | None, Field(examples=["67322"])]
    amount: Annotated[str, Field(examples=["92.32"])]
    amount_precise: Annotated[str, Field(examples=["92.322"])]
    tiers: Annotated[list[dict[str, Any]] | None, Field(description="As the invoice's document has them.")]
    title: Annotated[str, Field(examples=["API calls"])]
    sentences: Annotated[list[str], Field(examples=[["67,322 calls: the sum of 'calls' of 31 api.usage events."]])]
    steps: list[Step]
    result: Annotated[list[str], Field(examples=[["92.322 USD before rounding: half up, per line."]])]
    event_count: Annotated[int | None, Field(description="Of a usage line.")] = None
    reproduced: Annotated[bool | None, Field(description="As many events are found as it was billed for.")] = None
    correction: Annotated[
        dict[str, Any] | None, Field(description="Of an adjustment: what was billed, what is due, and why.")
    ] = None
    events: list[LineEvent] | None = None
    more_events: Annotated[int | None, Field(description="How many follow.")] = None
    next_cursor: Annotated[
        str | None, Field(description="Gives the events that follow, of this line alone; null: none do.")
    ] = None


class ExplainedLines(BaseModel):
    """The lines of an invoice that have a key; several where its charge is split by dimensions."""

    invoice: Annotated[str, Field(examples=["northwind-ai-000002"])]
    tenant: str
    customer: Annotated[str, Field(examples=["chat"])]
    status: Literal["finalised", "voided"]
    basis: Annotated[dict[str, Any], Field(description="What was known when it was made.")]
    lines: list[ExplainedLine]
