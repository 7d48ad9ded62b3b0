"""CloudEvents in: envelope contract, validation, dedup and amendments (contracts.md, section 1)."""

from valueverse.events.amendments import resolve_amendments
from valueverse.events.billing_events import CATALOG_PUBLISHED, SHAPES, judge_billing_event
from valueverse.events.event_reference import ENTRIES
from valueverse.events.field_types import DURATION_SCHEMA, NAME_RULE, duration_seconds
from valueverse.events.identity import COMPARED_FIELDS, EVENT_KEY, key_hash, payload_hash, same_payload
from valueverse.events.payment_numbers import card_numbers, ibans, refuse_payment_number, refuse_payment_numbers
from valueverse.events.personal_data import personal_texts, without_personal_fields
from valueverse.events.reading import LARGEST_EVENT, read_lines, read_rows, refused_lines, with_raw
from valueverse.events.strict import ENVELOPE_ATTRIBUTES, load_exact_json, plain_numbers
from valueverse.events.validation import (
    IS_BILLING,
    LONGEST_KEY,
    TENANT_KEY,
    is_time_zone,
    parse_instant,
    validate_events,
)

__all__ = [
    "CATALOG_PUBLISHED",
    "COMPARED_FIELDS",
    "DURATION_SCHEMA",
    "ENTRIES",
    "ENVELOPE_ATTRIBUTES",
    "EVENT_KEY",
    "IS_BILLING",
    "LARGEST_EVENT",
    "LONGEST_KEY",
    "NAME_RULE",
    "SHAPES",
    "TENANT_KEY",
    "card_numbers",
    "duration_seconds",
    "ibans",
    "is_time_zone",
    "judge_billing_event",
    "key_hash",
    "load_exact_json",
    "parse_instant",
    "payload_hash",
    "personal_texts",
    "plain_numbers",
    "read_lines",
    "read_rows",
    "refuse_payment_number",
    "refuse_payment_numbers",
    "refused_lines",
    "resolve_amendments",
    "same_payload",
    "validate_events",
    "with_raw",
    "without_personal_fields",
]
