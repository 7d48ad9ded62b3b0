"""The tables of the lake."""

from __future__ import annotations

from valueverse.platform.lake import LakeTable
from valueverse.schemas.events import BILLING_FACTS, EVENTS, QUARANTINE
from valueverse.schemas.metering import USAGE

EVENTS_TABLE = LakeTable("events", EVENTS, "event_date")
QUARANTINE_TABLE = LakeTable("quarantine", QUARANTINE, "received_date")
USAGE_TABLE = LakeTable("usage", USAGE, "event_date")
BILLING_FACTS_TABLE = LakeTable("billing_facts", BILLING_FACTS)
