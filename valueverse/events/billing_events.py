"""Shapes of billing events (contracts.md, section 2): what the event alone shows; state is judged later."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from valueverse.documents import CountryCode, DocumentError, judge_object, wrong
from valueverse.errors import RefusalError
from valueverse.events.field_types import (
    Amount,
    Currency,
    Day,
    GraceDuration,
    Key,
    Moment,
    Name,
    NotNegative,
    TaxRate,
    Text,
    Whole,
    Zone,
    stated,
)
from valueverse.events.invoice_details import InvoiceDetails
from valueverse.events.payment_numbers import refuse_payment_numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class BillingEvent(BaseModel):
    """``data`` of a billing event; further fields are the sender's own."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Tenant(BillingEvent):
    """``billing.tenant.created`` and ``.updated``."""

    tenant: Key | None = Field(None, description="Key of the tenant; the event's own tenant.")
    name: Text | None = Field(None, description="Name that people know it by; invoices show it as the seller.")
    timezone: Zone | None = Field(
        None, description="IANA time zone in which its days and periods begin; the catalog's until stated."
    )
    currency: Currency | None = Field(None, description="ISO 4217 code; the catalog's until stated.")
    grace: GraceDuration | None = Field(
        None, description="From a period's close until its invoice is finalised; the catalog's until stated."
    )
    country: CountryCode | None = Field(None, description="ISO 3166-1 code; electronic invoices need it.")
    tax_id: Text | None = Field(None, description="VAT identifier.")
    address: dict[str, Any] | None = Field(
        None, description="street, postal_code, city; accent is the colour of its invoices, like #1f4e79."
    )
    invoicing: Annotated[InvoiceDetails | None, BeforeValidator(stated)] = Field(
        None,
        description="How its invoices are paid and look; takes the place of all that was stated before. See below.",
    )


class Customer(BillingEvent):
    """``billing.customer.created`` and ``.updated``."""

    customer: Name = Field(description="Key of the customer: any printable text without /.")
    name: Text | None = Field(None, description="Name on invoices; the key by default.")
    email: Text | None = Field(None, description="Where invoices would be sent.")
    currency: Currency | None = Field(None, description="ISO 4217 code of its invoices; the plan's by default.")
    timezone: Zone | None = Field(
        None, description="IANA time zone of its periods, from the end of the running one on."
    )
    country: CountryCode | None = Field(None, description="ISO 3166-1 code; taxes of the catalog may depend on it.")
    tax_rates: list[TaxRate] | None = Field(
        None, description="Taxes of its invoices in place of the plan's: keys, percentages, or {key, percent}."
    )
    metadata: dict[str, Any] | None = Field(
        None,
        description="Whatever else is known; tax_id, address {street, postal_code, city} and purchase_order are shown "
        "on invoices, locale (such as de-AT) is that of their texts.",
    )


class SubscriptionStarted(BillingEvent):
    """``billing.subscription.started``."""

    subscription: Name = Field(description="Key of the subscription.")
    customer: Name = Field(description="Who is billed; held until an event creates it.")
    plan: Key = Field(description="Key of a plan in the catalog.")
    plan_version: Whole | None = Field(None, description="The newest one by default.")
    anchor_date: Day | None = Field(
        None, description="Day that sets the phase of its periods; the day of the start by default."
    )
    timezone: Zone | None = Field(None, description="IANA time zone of its periods; the customer's by default.")
    overrides: dict[str, Any] | None = Field(None, description="Parts of the plan that differ for this subscription.")
    ends_at: Moment | None = Field(None, description="When it ends; open by default.")
    quantities: dict[str, NotNegative] | None = Field(None, description="Quantity of each fee that has a unit_amount.")


class SubscriptionChanged(BillingEvent):
    """``billing.subscription.changed``."""

    subscription: Name = Field(description="Key of the subscription.")
    plan: Key | None = Field(None, description="Another plan; the same by default.")
    plan_version: Whole | None = Field(None, description="Another version of the plan.")
    overrides: dict[str, Any] | None = Field(None, description="Take the place of the overrides so far.")
    quantities: dict[str, NotNegative] | None = Field(
        None, description="New quantities of fees that have a unit_amount."
    )
    effective: Literal["now", "period_end"] | None = Field(
        None,
        description="now (default), or period_end: with the next period. "
        "A change now withdraws of what is planned the parts that it states; the others stay planned.",
    )


class Subscription(BillingEvent):
    """``billing.subscription.paused``, ``.resumed`` and ``.ended``."""

    subscription: Name = Field(description="Key of the subscription.")


class Coupon(BillingEvent):
    """``billing.coupon.applied`` and ``.removed``."""

    customer: Name | None = Field(None, description="Whose invoices it lowers; or a subscription.")
    subscription: Name | None = Field(None, description="Whose lines it lowers; or a customer.")
    coupon: Key = Field(description="Key of a coupon in the catalog.")


class Wallet(BillingEvent):
    """``billing.wallet.granted``, ``.purchased`` and ``.voided``."""

    customer: Name = Field(description="Whose invoices it pays.")
    wallet: Name = Field(description="Key of the wallet.")
    amount: NotNegative = Field(description="Credit in major units; of a voided one what is taken away.")
    currency: Currency = Field(description="ISO 4217 code; pays invoices in it alone.")
    priority: Whole | None = Field(None, description="Lower ones are used first.")
    expires_at: Moment | None = Field(None, description="When what is left lapses; never by default.")
    restrict_to: list[Name] | None = Field(None, description="Charges that it may pay for; all by default.")


class Payment(BillingEvent):
    """``billing.payment.received``, ``.failed`` and ``.refunded``."""

    invoice: Text = Field(description="Number of the invoice.")
    amount: NotNegative = Field(description="Paid in major units.")
    currency: Currency = Field(description="ISO 4217 code of the invoice.")
    reference: Text | None = Field(None, description="What the bank or payment provider calls it.")


class InvoiceVoided(BillingEvent):
    """``billing.invoice.voided``."""

    invoice: Text = Field(description="Number of the invoice.")
    reason: Text = Field(description="Why; shown with the invoice.")


class CreditedLine(BillingEvent):
    """What a credit note takes off one line."""

    amount: NotNegative = Field(description="Taken off, in major units.")


class CreditNote(BillingEvent):
    """``billing.credit_note.issued``."""

    invoice: Text = Field(description="Number of the invoice.")
    lines: list[Annotated[CreditedLine, BeforeValidator(stated)]] | None = Field(
        None, description="Amounts per line, which are added up; or amount."
    )
    amount: NotNegative | None = Field(None, description="Credited in major units; or lines.")
    reason: Text = Field(description="Why; shown with the credit.")

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        listed = None if self.lines is None else sum((line.amount for line in self.lines), Decimal(0))
        if None not in (self.amount, listed) and self.amount != listed:
            raise wrong(f"the lines add up to {listed}, not to the amount {self.amount}: state either", "lines")
        return self


def _refuse_reversed(begins: str | None, ends: str | None, place: str) -> None:
    """Refuse a period whose end, which stands at ``place``, comes before its beginning."""
    first, last = (datetime.fromisoformat(text.upper()) if text else None for text in (begins, ends))
    # A day and an instant: which comes first is known with the time zone alone.
    if first and last and (first.tzinfo is None) == (last.tzinfo is None) and last < first:
        raise wrong(f"the period ends ({ends}) before it begins ({begins})", place, code="bad_time")


class ServicePeriod(BillingEvent):
    """Local days or instants, [from, to)."""

    from_: Annotated[Moment | None, Field(alias="from")] = None
    to: Moment | None = None

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        _refuse_reversed(self.from_, self.to, "to")
        return self


Period = Annotated[ServicePeriod, BeforeValidator(stated)]


class OneOff(BillingEvent):
    """``billing.one_off.added``."""

    customer: Name = Field(description="Who is billed.")
    description: Text = Field(description="Text of the invoice line.")
    amount: Amount = Field(description="In major units, either sign.")
    currency: Currency = Field(description="ISO 4217 code of the line.")
    service_period: Period | None = Field(None, description="What it is for; the event's instant by default.")


class Cost(BillingEvent):
    """``billing.cost.recorded``, in our words or in FOCUS columns."""

    customer: Name | None = Field(None, description="Whom it serves; the tenant as a whole by default.")
    amount: Amount | None = Field(None, description="In major units.")
    currency: Currency | None = Field(None, description="ISO 4217 code.")
    service: Text | None = Field(None, description="What was used.")
    period: Period | None = Field(None, description="When it was used; the event's instant by default.")
    billed_cost: Amount | None = Field(None, alias="BilledCost", description="FOCUS column for amount.")
    billing_currency: Currency | None = Field(None, alias="BillingCurrency", description="FOCUS column for currency.")
    service_name: Text | None = Field(None, alias="ServiceName", description="FOCUS column for service.")
    charge_period_start: Moment | None = Field(
        None, alias="ChargePeriodStart", description="FOCUS column for the period's beginning."
    )
    charge_period_end: Moment | None = Field(
        None, alias="ChargePeriodEnd", description="FOCUS column for the period's end."
    )

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        _refuse_reversed(self.charge_period_start, self.charge_period_end, "ChargePeriodEnd")
        return self


SHAPES: dict[str, type[BillingEvent]] = {
    "billing.tenant.created": Tenant,
    "billing.tenant.updated": Tenant,
    "billing.customer.created": Customer,
    "billing.customer.updated": Customer,
    "billing.subscription.started": SubscriptionStarted,
    "billing.subscription.changed": SubscriptionChanged,
    "billing.subscription.paused": Subscription,
    "billing.subscription.resumed": Subscription,
    "billing.subscription.ended": Subscription,
    "billing.coupon.applied": Coupon,
    "billing.coupon.removed": Coupon,
    "billing.wallet.granted": Wallet,
    "billing.wallet.purchased": Wallet,
    "billing.wallet.voided": Wallet,
    "billing.payment.received": Payment,
    "billing.payment.failed": Payment,
    "billing.payment.refunded": Payment,
    "billing.invoice.voided": InvoiceVoided,
    "billing.credit_note.issued": CreditNote,
    "billing.one_off.added": OneOff,
    "billing.cost.recorded": Cost,
}
"""``data`` per type; the catalog document is judged by ``valueverse.catalog``."""
CATALOG_PUBLISHED = "billing.catalog.published"


def judge_billing_event(
    kind: str, tenant: str, data: Mapping[str, Any], judge_catalog: Callable[[Any], object]
) -> None:
    """Refuse a billing event whose ``data`` has the wrong shape.

    Raises:
        RefusalError: ``bad_billing_event``, ``out_of_range``, ``bad_time``, ``too_long``, ``payment_instrument``
            (not for what a tenant states of itself); paths begin with ``data``.
            Code and path are those of the first thing wrong; the message names the others too.
    """
    try:
        if kind == CATALOG_PUBLISHED:
            refuse_payment_numbers(data)
            judge_catalog(data)
            return
        if kind not in SHAPES:
            raise RefusalError.unknown("bad_billing_event", f"{kind!r} is no billing event", kind, SHAPES, "type")
        if kind.startswith("billing.tenant.") and data.get("tenant", tenant) != tenant:
            message = f"the event of tenant {tenant!r} names the tenant {data['tenant']!r}"
            raise RefusalError("bad_billing_event", message, "data.tenant")
        if not kind.startswith("billing.tenant."):
            refuse_payment_numbers(data)
        judge_object(SHAPES[kind], stated(data), "bad_billing_event", what=f"a {kind} event")
    except DocumentError as found:
        error = found.below("data")
        code = error.code if error.code in {"out_of_range", "too_long", "bad_time"} else "bad_billing_event"
        raise RefusalError(code, error.listed, error.path) from found
