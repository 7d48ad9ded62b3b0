"""What users read of billing events: a page per type, and JSON Schemas, made from the shapes that judge them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from valueverse.documents import CONTROL_CHARACTERS, UNPRINTABLE, has, json_schema_of
from valueverse.events.billing_events import CATALOG_PUBLISHED, SHAPES
from valueverse.events.field_types import INSTANT_PATTERN
from valueverse.events.invoice_details import InvoiceDetails
from valueverse.events.validation import LONGEST_KEY, TENANT_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"


@dataclass(frozen=True)
class Entry:
    """One type of billing event: what it does, and an example of its ``data``."""

    effect: str
    example: dict[str, Any]


ENTRIES: dict[str, Entry] = {
    "billing.tenant.created": Entry(
        "Brings the tenant into being. `valueverse tenants add` writes it and prints the first API key.",
        {"tenant": "acme", "name": "Acme GmbH", "timezone": "Europe/Berlin", "currency": "EUR", "country": "DE"},
    ),
    "billing.tenant.updated": Entry(
        "Changes what it states of the tenant, from its time on; what it does not state stays.",
        {
            "tax_id": "DE123456789",
            "address": {"street": "Hauptstr. 1", "postal_code": "10115", "city": "Berlin"},
            "invoicing": {"iban": "DE89 3704 0044 0532 0130 00", "payment_terms_days": 14, "locale": "de"},
        },
    ),
    "billing.customer.created": Entry(
        "Creates a customer. Subscriptions of a customer that no event has created are held.",
        {"customer": "c1", "name": "Beispiel AG", "country": "DE", "metadata": {"tax_id": "DE987654321"}},
    ),
    "billing.customer.updated": Entry(
        "Changes what it states of the customer; a new time zone holds from the end of the running period.",
        {"customer": "c1", "timezone": "Europe/Paris"},
    ),
    "billing.subscription.started": Entry(
        "Starts a subscription to a plan at the event's time: fees in advance are billed, usage counts from here on.",
        {"subscription": "s1", "customer": "c1", "plan": "pro", "quantities": {"seats": "5"}},
    ),
    "billing.subscription.changed": Entry(
        "Changes plan, version, overrides or quantities, now (prorated) or with the next period.",
        {"subscription": "s1", "plan": "enterprise", "effective": "period_end"},
    ),
    "billing.subscription.paused": Entry(
        "Stops fees and charges until it is resumed; usage meanwhile is not billed.", {"subscription": "s1"}
    ),
    "billing.subscription.resumed": Entry("Goes on with a paused subscription.", {"subscription": "s1"}),
    "billing.subscription.ended": Entry(
        "Ends the subscription: its last period closes, what was billed in advance is credited.", {"subscription": "s1"}
    ),
    "billing.coupon.applied": Entry(
        "Takes a coupon of the catalog off the invoices of a customer or the lines of a subscription.",
        {"customer": "c1", "coupon": "launch"},
    ),
    "billing.coupon.removed": Entry(
        "The coupon takes nothing off invoices that close later.", {"customer": "c1", "coupon": "launch"}
    ),
    "billing.wallet.granted": Entry(
        "Gives a customer credit as a present; invoices use it before they are due.",
        {"customer": "c1", "wallet": "w1", "amount": "50.00", "currency": "EUR", "expires_at": "2025-01-01"},
    ),
    "billing.wallet.purchased": Entry(
        "Credit that the customer has paid for.",
        {"customer": "c1", "wallet": "w2", "amount": "100.00", "currency": "EUR", "priority": 2},
    ),
    "billing.wallet.voided": Entry(
        "Takes an amount of a wallet's credit away, at most what is left.",
        {"customer": "c1", "wallet": "w1", "amount": "50.00", "currency": "EUR"},
    ),
    "billing.payment.received": Entry(
        "Books a payment of an invoice.",
        {"invoice": "acme-000001", "amount": "78.81", "currency": "EUR", "reference": "SEPA-123"},
    ),
    "billing.payment.failed": Entry(
        "Is on record; nothing is booked.", {"invoice": "acme-000001", "amount": "78.81", "currency": "EUR"}
    ),
    "billing.payment.refunded": Entry(
        "Books money paid back.", {"invoice": "acme-000001", "amount": "10.00", "currency": "EUR"}
    ),
    "billing.invoice.voided": Entry(
        "Voids a finalised invoice: its number stays, its amounts are booked back, its periods are billed again. One "
        "of a later date waits for the first billing run from then on.",
        {"invoice": "acme-000001", "reason": "wrong address"},
    ),
    "billing.credit_note.issued": Entry(
        "Credits a part of a finalised invoice: the credit pays the customer's next invoices in its currency. "
        "The invoice itself stays due as it is (decision 1446).",
        {"invoice": "acme-000001", "amount": "5.00", "reason": "outage"},
    ),
    "billing.one_off.added": Entry(
        "A line on the customer's next invoice, or on one of its own.",
        {"customer": "c1", "description": "Onboarding workshop", "amount": "500.00", "currency": "EUR"},
    ),
    "billing.cost.recorded": Entry(
        "What serving a customer cost, for margins and value models. FOCUS columns are read too; it bills nothing.",
        {"customer": "c1", "amount": "3.20", "currency": "EUR", "service": "inference"},
    ),
}


_WITHIN = {"$ref": "#/$defs/Usage"}
_USAGE = {
    "description": "No number in data of usage is 10^12 or more, and no text holds a NUL character.",
    "exclusiveMinimum": -(10**12),
    "exclusiveMaximum": 10**12,
    "pattern": r"^[^\x00]*$",
    "items": _WITHIN,
    "additionalProperties": _WITHIN,
}


def data_schema(kind: str) -> dict[str, Any]:
    """The JSON Schema of ``data`` of one type."""
    schema = json_schema_of(SHAPES[kind])
    schema.pop("title", None)
    return {
        "description": ENTRIES[kind].effect,
        **{name: part for name, part in schema.items() if name != "description"},
    }


def events_schema(catalog: dict[str, Any]) -> dict[str, Any]:
    """The JSON Schema of a line of an event file: the envelope, and ``data`` by the type of a billing event.

    Args:
        catalog: the JSON Schema of what a ``billing.catalog.published`` publishes.
    """
    schemas = {kind: data_schema(kind) for kind in SHAPES} | {CATALOG_PUBLISHED: catalog}
    named = {"anyOf": [{"not": {"pattern": "^billing[.]"}}, {"enum": list(schemas)}]}
    text = {"type": "string", "pattern": f"^[^{CONTROL_CHARACTERS}]{{1,{LONGEST_KEY}}}$"}
    name = f"[^/{UNPRINTABLE}]{{1,128}}"
    envelope = {
        "specversion": {"const": "1.0"},
        "id": text | {"description": "With source the key of the event: the same one twice counts once."},
        "source": text,
        "type": text | named | {"description": "billing.* is reserved for billing events; all else is usage."},
        "subject": {"type": ["string", "null"], "description": "Usage: the customer's key, or customer/subscription."},
        "time": {
            "type": "string",
            "pattern": f"^{INSTANT_PATTERN}$",
            "description": "When it happened, with an offset.",
        },
        "tenant": {
            "type": ["string", "null"],
            "pattern": TENANT_KEY,
            "description": "The tenant of the folder, if it is stated.",
        },
        "replaces": text
        | {"type": ["string", "null"], "description": "Id of the event of this source that this one amends."},
        "data": {"type": ["object", "null"], "description": "null voids the event that replaces names."},
    }
    of_usage = {
        "if": {"properties": {"type": {"not": {"pattern": "^billing[.]"}}}},
        "then": {"properties": {"subject": {"pattern": f"^{name}(/{name})?$"}, "data": _WITHIN}},
    }
    return {
        "$schema": SCHEMA_DIALECT,
        "title": "ValueVerse event",
        "type": "object",
        "required": ["specversion", "id", "source", "type", "time"],
        "properties": envelope,
        "allOf": [
            of_usage,
            # Without data an event voids another.
            {"anyOf": [has("data"), has("replaces")]},
            *(
                {"if": {"properties": {"type": {"const": kind}}}, "then": {"properties": {"data": _nullable(schema)}}}
                for kind, schema in schemas.items()
            ),
        ],
        # References are read from the root of a document.
        "$defs": {name: part for schema in schemas.values() for name, part in schema.get("$defs", {}).items()}
        | {"Usage": _USAGE},
    }


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [{name: part for name, part in schema.items() if name[0] != "$"}, {"type": "null"}]}


def page() -> str:
    """docs/events.md: every billing event, its fields, an example and its effect."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Billing events"
    yield ""
    yield "<!-- Written by make docs from valueverse/events. -->"
    yield ""
    yield f"""What tenants, customers, subscriptions and money do, as CloudEvents, one per line ([formats](formats.md)).
The `data` of a `{CATALOG_PUBLISHED}` is a catalog ([catalog.md](catalog.md)); that of all others is below. Fields that
are not listed are the sender's own. [schemas/event.schema.json](schemas/event.schema.json) says the same to programs.
`valueverse events check FILE` says what ingestion would take of a file, and what not."""
    for kind, entry in ENTRIES.items():
        schema = data_schema(kind)
        yield from ("", f"## {kind}", "", entry.effect, "", "| field | | meaning |", "|---|---|---|")
        for name, field in schema["properties"].items():
            required = "required" if name in schema.get("required", ()) else ""
            yield f"| `{name}` | {required} | {field.get('description', '')} |"
        event = {
            "specversion": "1.0", "id": "1", "source": "crm", "type": kind, "time": "2024-01-01T00:00:00Z",
            "data": entry.example,
        }  # fmt: skip
        yield from ("", "```json", json.dumps(event, ensure_ascii=False), "```")
    yield from (
        "",
        "## invoicing",
        "",
        (InvoiceDetails.__doc__ or "").replace("``", "`"),
        "",
        "| field | meaning |",
        "|---|---|",
    )
    for name, field in InvoiceDetails.model_json_schema()["properties"].items():
        yield f"| `{name}` | {field['description']} |"
