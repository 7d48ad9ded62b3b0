"""Shapes of questions about money that is not final, and of their answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from serving_api.schemas import Cursor, Day, Key, KnownAtQuery, Page, Period, count

Until = Annotated[
    Day | None,
    Field(
        description="Invoices that close up to the beginning of this day in the tenant's time zone, at most three "
        "years ahead; by default those up to the close of the next of the customer's periods.",
        examples=["2024-02-01"],
    ),
]


class UpcomingQuery(KnownAtQuery):
    """Which invoices are asked for."""

    until: Until = None


class UnbilledQuery(KnownAtQuery):
    """Whose usage, and as known when."""

    customer: Annotated[Key | None, Field(description="Customer key.", examples=["chat"])] = None
    limit: Annotated[int, Field(ge=1, le=25, description="Customers that are looked at."), BeforeValidator(count)] = 10
    cursor: Cursor


class PlanQuery(KnownAtQuery):
    """Which catalog's plans."""

    catalog: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=128,
            description="Hash of a published one; that in force by default.",
        ),
    ] = None


class PublishedPlan(BaseModel):
    """A plan as its catalog writes it; docs/catalog.md names every field."""

    model_config = ConfigDict(extra="allow")
    catalog: Annotated[str, Field(description="Hash of the catalog.")]
    from_: Annotated[str, Field(alias="from", description="From when on it holds.", examples=["2024-01-01T00:00:00Z"])]
    currency: Annotated[str, Field(description="Of amounts, unless the plan has its own.", examples=["USD"])]
    key: Annotated[str, Field(examples=["pro"])]
    version: int | None = None
    fees: list[dict[str, Any]] | None = None
    charges: list[dict[str, Any]] | None = None


class PlanPage(Page):
    """The plans of a catalog, in its order."""

    data: list[PublishedPlan]


class PublishedCatalog(BaseModel):
    """A catalog that was published, and what it sells, by key."""

    hash: Annotated[str, Field(description="Of the catalog, whichever way it is written.")]
    from_: Annotated[str, Field(alias="from", description="From when on it holds.", examples=["2024-01-01T00:00:00Z"])]
    received_at: str
    currency: str
    timezone: str
    meters: list[str]
    plans: list[dict[str, Any]]
    coupons: list[str]
    taxes: list[str]


class CatalogPage(BaseModel):
    """The catalogs of a tenant."""

    data: list[PublishedCatalog]
    has_more: bool
    next_cursor: str | None


class PreviewRequest(BaseModel):
    """Billing events that nobody has sent, and whose invoices they may change."""

    model_config = ConfigDict(extra="forbid")
    customer: Annotated[Key, Field(examples=["chat"])]
    until: Until = None
    events: Annotated[
        list[dict[str, Any]],
        Field(
            max_length=100,
            description="CloudEvents of the types in docs/events.md, applied in this order on top of what is known.",
        ),
    ] = []


class InvoiceChange(BaseModel):
    """What the events change of an invoice; below it, of each of its lines that differs."""

    subscription: str | None
    invoice_type: Annotated[str, Field(examples=["period"])]
    period_from: Annotated[str, Field(examples=["2024-01-01T00:00:00Z"])]
    period_to: str
    first_day: Annotated[str, Field(description="First and last day, where it is billed.", examples=["2024-01-01"])]
    last_day: str
    line: Annotated[str | None, Field(description="Null: the invoice's total.")]
    currency: str
    before: Annotated[str, Field(examples=["25.00"])]
    after: Annotated[str, Field(examples=["19.35"])]
    difference: Annotated[str, Field(examples=["-5.65"])]


class InvoicePreview(BaseModel):
    """A customer's invoices that are not final, without and with an event."""

    customer: Annotated[str, Field(examples=["chat"])]
    until: Annotated[str, Field(description="Invoices that close up to this day.", examples=["2024-04-30"])]
    invoices: list[InvoiceChange]
    held: list[str]


class UpcomingInvoices(BaseModel):
    """A customer's invoices that are not final, as if they were billed now."""

    customer: Annotated[str, Field(examples=["chat"])]
    until: Annotated[str, Field(examples=["2024-02-01"])]
    invoices: Annotated[
        list[dict[str, Any]], Field(description="Documents as drafts have them, the first that closes first.")
    ]
    held: Annotated[list[str], Field(description="Lines that have no amount; their invoices are held back.")]
    changes: Annotated[
        list[InvoiceChange] | None, Field(description="What the events of a preview change; absent elsewhere.")
    ] = None


class UnbilledCharge(BaseModel):
    """What a charge comes to, or a correction of usage that a final invoice billed."""

    subscription: Annotated[str | None, Field(examples=["chat-main"])]
    charge: Annotated[str, Field(examples=["tokens"])]
    kind: Annotated[Literal["usage", "adjustment"], Field(description="`adjustment`: of what is final.")]
    description: str
    currency: Annotated[str, Field(examples=["USD"])]
    service_period: Period
    meter: Annotated[str | None, Field(description="Null: several.", examples=["context_tokens"])]
    dimensions: dict[str, str | None] | None
    quantity: Annotated[str | None, Field(examples=["67322"])]
    amount: Annotated[str, Field(description="Before discounts and taxes.", examples=["92.32"])]
    amount_precise: Annotated[str, Field(examples=["92.322"])]
    event_count: Annotated[int | None, Field(examples=[31])]
    explains: Annotated[str | None, Field(description="A text for people.")]


class UnbilledTotal(BaseModel):
    """What the charges come to in one currency."""

    currency: Annotated[str, Field(examples=["USD"])]
    amount: Annotated[str, Field(examples=["92.32"])]


class UnbilledCustomer(BaseModel):
    """What a customer used and no finalised invoice bills."""

    customer: Annotated[str, Field(examples=["chat"])]
    charges: list[UnbilledCharge]
    totals: list[UnbilledTotal]
    held: Annotated[list[str], Field(description="Lines that have no amount; their invoices are held back.")]


class UnbilledPage(Page):
    """A page of customers by key; those with nothing unbilled are left out, so a page may be short."""

    data: list[UnbilledCustomer]
