"""Shapes of questions about what billing events state, and of their answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from serving_api.schemas import Cursor, Key, KnownAtQuery, Limit, Page
from serving_api.writes import Segment


class OfCustomerQuery(KnownAtQuery):
    """Of whom, and as known when."""

    customer: Annotated[Key | None, Field(description="Customer key.", examples=["chat"])] = None
    limit: Limit = 25
    cursor: Cursor


class SubscriptionQuery(OfCustomerQuery):
    """Whose subscriptions."""


class OfInvoiceQuery(KnownAtQuery):
    """Of which invoice, and as known when."""

    invoice: Annotated[Key | None, Field(description="Number of an invoice.", examples=["northwind-ai-000002"])] = None
    limit: Limit = 25
    cursor: Cursor


class Rejection(BaseModel):
    """Why billing did not apply an event."""

    reason: Annotated[str, Field(examples=["unknown_invoice"])]
    message: str


class StatedMoney(BaseModel):
    """A billing event that states something of money."""

    source: Annotated[str, Field(examples=["stripe"])]
    id: Annotated[str, Field(examples=["payment-17"])]
    time: Annotated[str, Field(description="When it takes effect, UTC.", examples=["2024-01-05T09:30:00Z"])]
    received_at: str
    amount: Annotated[str | None, Field(description="In major units, as stated.", examples=["138.28"])]
    rejected: Annotated[
        Rejection | None,
        Field(description="By the newest billing run; null with `known_at`, or if it was not."),
    ]


class Payment(StatedMoney):
    """A payment of an invoice."""

    type: Literal["received", "failed", "refunded"]
    invoice: Annotated[str, Field(examples=["northwind-ai-000002"])]
    currency: Annotated[str, Field(examples=["USD"])]
    reference: Annotated[str | None, Field(description="What the bank or provider calls it.")]


class PaymentPage(Page):
    """A page of payments, the newest first."""

    data: list[Payment]


class IssuedCreditNote(StatedMoney):
    """A credit note on an invoice."""

    type: Literal["issued"]
    invoice: Annotated[str, Field(examples=["northwind-ai-000002"])]
    reason: str


class CreditNotePage(Page):
    """A page of credit notes, the newest first."""

    data: list[IssuedCreditNote]


class SingleLine(StatedMoney):
    """A single line for an invoice."""

    type: Literal["added"]
    customer: Annotated[str, Field(examples=["chat"])]
    description: str
    currency: Annotated[str, Field(examples=["USD"])]
    service_period: Annotated[dict[str, Any] | None, Field(description="As stated; null: its own instant.")]


class OneOffPage(Page):
    """A page of single lines, the newest first."""

    data: list[SingleLine]


class WalletCredit(StatedMoney):
    """Credit that was given to a wallet, or taken from it."""

    type: Literal["granted", "purchased", "voided"]
    customer: Annotated[str, Field(examples=["chat"])]
    wallet: Annotated[str, Field(examples=["prepaid"])]
    currency: Annotated[str, Field(examples=["USD"])]
    priority: Annotated[str | None, Field(description="Lower ones are used first.")]
    expires_at: str | None
    restrict_to: Annotated[list[str] | None, Field(description="Charges that it may pay for; null: all.")]


class WalletPage(Page):
    """A page of credit, the newest first."""

    data: list[WalletCredit]


class Subscription(BaseModel):
    """A subscription, and what holds of it at the instant of the question."""

    subscription: Annotated[str, Field(examples=["chat-main"])]
    customer: Annotated[str, Field(examples=["chat"])]
    plan: Annotated[str, Field(examples=["pro"])]
    plan_version: Annotated[int, Field(examples=[1])]
    currency: Annotated[str, Field(examples=["USD"])]
    timezone: Annotated[str, Field(examples=["UTC"])]
    started_at: Annotated[str, Field(examples=["2024-01-01T00:00:00Z"])]
    ended_at: Annotated[str | None, Field(description="When it ended or will; null: no end is stated.")]
    status: Literal["planned", "active", "paused", "ended"]


class SubscriptionPage(Page):
    """A page of subscriptions by key."""

    data: list[Subscription]


class SubscriptionDetail(Subscription):
    """A subscription with its timeline."""

    segments: Annotated[list[Segment], Field(description="Its stretches, the oldest first.")]
