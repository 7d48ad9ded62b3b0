"""Shapes of questions about a customer's usage, and of their answers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field

from serving_api.ranges import Range
from serving_api.schemas import BoundedDay, Cursor, Key, KnownAtQuery, Page, count


class UsageQuery(KnownAtQuery, Range):
    """Filters of a customer's usage, and how it is put together."""

    from_: Annotated[
        BoundedDay | None,
        Field(alias="from", description="First day: UTC, or where the windows are.", examples=["2023-11-01"]),
    ] = None
    to: Annotated[BoundedDay | None, Field(description="The day after the last.", examples=["2023-12-01"])] = None
    meter: Annotated[Key | None, Field(description="Meter key.", examples=["context_tokens"])] = None
    window: Annotated[
        Literal["hour", "day", "month"] | None,
        Field(description="What the `meter` comes to in each window with usage, for all subscriptions together."),
    ] = None
    group_by: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=1_000,
            description="Of windows: dimensions of the meter that have a quantity each, with commas between.",
            examples=["model"],
        ),
    ] = None
    timezone: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=64,
            description="Of windows: IANA time zone; by default the customer's, or else the tenant's.",
            examples=["Europe/Berlin"],
        ),
    ] = None
    limit: Annotated[int, Field(ge=1, le=1000, description="Rows of a page."), BeforeValidator(count)] = 500
    cursor: Cursor


class UsageRow(BaseModel):
    """Metered usage of one day, meter, subscription and set of dimension values."""

    day: Annotated[str, Field(examples=["2023-11-16"])]
    meter: Annotated[str, Field(examples=["context_tokens"])]
    subscription: Annotated[str | None, Field(description="Null for usage no subscription takes.")]
    dimensions: Annotated[dict[str, str | None], Field(examples=[{"model": "gpt-large"}])]
    quantity: Annotated[
        str | None,
        Field(
            examples=["18023416"],
            description="What the meter comes to on this day alone, exact; null if a day alone has no quantity.",
        ),
    ]
    aggregation: Annotated[
        str | None,
        Field(
            examples=["sum"],
            description="How the meter aggregates: count, sum, min, max, avg, latest, unique_count or weighted_sum; "
            "null if that is not known.",
        ),
    ]
    additive: Annotated[
        bool,
        Field(description="Whether quantities add up over days, dimensions and subscriptions (count and sum do)."),
    ]
    events: Annotated[int, Field(ge=0, examples=[9366])]


class UsagePage(Page):
    """A page of usage, by day and meter."""

    data: list[UsageRow]


class UsageWindow(BaseModel):
    """What a meter comes to in one window, for one set of dimension values."""

    window_start: Annotated[str, Field(examples=["2023-11-16T08:00:00Z"])]
    window_end: Annotated[str, Field(examples=["2023-11-16T09:00:00Z"])]
    timezone: Annotated[str, Field(description="Where windows begin and end.", examples=["UTC"])]
    meter: Annotated[str, Field(examples=["context_tokens"])]
    dimensions: Annotated[dict[str, str | None], Field(examples=[{"model": "gpt-large"}])]
    quantity: Annotated[
        str | None, Field(examples=["1802"], description="Exact, by the meter's own rule; null: beyond 38 digits.")
    ]


class UsageWindowPage(Page):
    """A page of windows, the oldest first."""

    data: list[UsageWindow]
