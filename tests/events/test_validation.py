"""What an event alone shows, with place and message; time forms; subjects."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from valueverse.catalog.document import parse_catalog
from valueverse.errors import RefusalError
from valueverse.events.billing_events import judge_billing_event
from valueverse.events.validation import parse_instant, validate_events
from valueverse.schemas.events import PARSED_LINES

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
GOOD = {
    "line": 1,
    "raw": "",
    "specversion": "1.0",
    "id": "e",
    "source": "s",
    "type": "call",
    "subject": "c",
    "time": "2024-06-01T00:00:00Z",
    "data": "{}",
}


def _judged(**change: Any) -> dict[str, Any]:
    return validate_events(pl.DataFrame([GOOD | change], schema=PARSED_LINES), "acme", pl.lit(NOW)).to_dicts()[0]


@pytest.mark.parametrize(
    ("change", "reason", "path", "message"),
    [
        *(
            ({name: None}, "missing_attribute", name, f"'{name}' is required")
            for name in ("specversion", "id", "source")
        ),
        *(({name: None}, "missing_attribute", name, f"'{name}' is required") for name in ("type", "time")),
        ({"data": None}, "missing_attribute", "data", "null only voids"),
        ({"specversion": "0.3"}, "malformed", "specversion", '"1.0"'),
        ({"id": ""}, "malformed", "id", "1 to 256 characters"),
        ({"source": "s" * 257}, "too_long", "source", "1 to 256 characters, not 257"),
        ({"id": "é" * 257}, "too_long", "id", "1 to 256 characters"),
        ({"type": "t" * 12_000}, "too_long", "type", "not 12000"),
        ({"replaces": "r" * 257}, "too_long", "replaces", "1 to 256 characters"),
        ({"time": "1969-12-31T23:59:59.999999Z"}, "bad_time", "time", "1970-01-01 to 2200-01-01"),
        ({"time": "0001-01-01T00:00:00Z"}, "bad_time", "time", "1970-01-01 to 2200-01-01"),
        (
            {"type": "billing.subscription.ended", "time": "2200-01-01T00:00:00.000001Z"},
            "bad_time",
            "time",
            "1970-01-01 to 2200-01-01",
        ),
        ({"id": "a\nb"}, "malformed", "id", "control characters"),
        ({"replaces": "e"}, "malformed", "replaces", "cannot replace itself"),
        ({"replaces": ""}, "malformed", "replaces", "1 to 256 characters"),
        ({"tenant": "other"}, "unknown_tenant", "tenant", "'other'"),
        ({"time": "2024-06-01"}, "bad_time", "time", "RFC 3339"),
        ({"time": "2024-06-02T12:00:01Z"}, "too_far_future", "time", "24 hours"),
        ({"subject": ""}, "malformed", "subject", "customer/subscription"),
        ({"subject": "a/"}, "malformed", "subject", "customer/subscription"),
        ({"subject": "/a"}, "malformed", "subject", "customer/subscription"),
        ({"subject": "a/b/c"}, "malformed", "subject", "customer/subscription"),
        ({"subject": "c" * 129}, "malformed", "subject", "128 printable"),
        ({"subject": "a\u200bb"}, "malformed", "subject", "128 printable"),
    ],
)
def test_what_is_wrong_is_reported_with_its_place(change: dict[str, Any], reason: str, path: str, message: str) -> None:
    row = _judged(**change)
    assert (row["reason"], row["path"]) == (reason, path)
    assert message in row["message"]


@pytest.mark.parametrize(
    "change",
    [
        {"id": "é" * 256},
        {"subject": None},
        {"subject": "Müller & Sons 東京"},
        {"subject": "c" * 128 + "/" + "s" * 128},
        {"tenant": "acme"},
        {"time": "2024-06-02T12:00:00Z"},
        {"type": "billing.subscription.started", "time": "2200-01-01T00:00:00Z"},
        {"time": "1970-01-01T02:00:00+02:00"},
        {"data": None, "replaces": "x"},
    ],
)
def test_what_the_rules_allow_is_taken(change: dict[str, Any]) -> None:
    assert _judged(**change)["reason"] is None


def test_a_subject_may_name_the_subscription() -> None:
    row = _judged(subject="c-1/s-1")
    assert (row["customer"], row["subscription"]) == ("c-1", "s-1")


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2024-01-01t00:00:00z", "2024-01-01T00:00:00+00:00"),
        ("2024-01-01T05:30:00.5+05:30", "2024-01-01T00:00:00.500000+00:00"),
        ("2024-01-01T00:00:00-00:00", "2024-01-01T00:00:00+00:00"),
        ("2024-01-01T00:00:00.9999999Z", "2024-01-01T00:00:00.999999+00:00"),
        ("1960-01-01T00:00:00.1234567890123Z", "1960-01-01T00:00:00.123456+00:00"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+00:00"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999+00:00"),
        ("0001-01-01T00:00:00+14:00", None),
        ("9999-12-31T23:59:59-12:00", None),
        ("0000-01-01T00:00:00Z", None),
        ("2024-01-01T24:00:00Z", None),
        ("2024-06-30T23:59:60Z", None),
        ("2023-02-29T00:00:00Z", None),
        ("2024-01-01T00:00:00", None),
        ("2024-01-01 00:00:00Z", None),
        ("2024-01-01T00:00Z", None),
        ("2024-01-01T00:00:00+25:00", None),
        ("2024-01-01T00:00:00+0100", None),
        ("1704067200", None),
    ],
)
def test_times_are_rfc_3339_with_offset_to_the_microsecond(text: str, instant: str | None) -> None:
    found = pl.DataFrame({"time": [text]}).select(parse_instant(pl.col("time"))).item()
    assert found == (None if instant is None else datetime.fromisoformat(instant))


def test_a_catalog_with_a_price_out_of_range_is_out_of_range_at_its_place() -> None:
    catalog = {
        "schema": "valueverse.catalog/v1",
        "meters": [{"key": "calls", "event_type": "call", "aggregation": "count"}],
        "plans": [
            {
                "key": "pro",
                "charges": [{"key": "calls", "meter": "calls", "price": {"model": "standard", "unit": "1000000"}}],
            }
        ],
    }
    with pytest.raises(RefusalError) as refused:
        judge_billing_event("billing.catalog.published", "acme", catalog, parse_catalog)
    assert (refused.value.code, refused.value.path) == ("out_of_range", "data.plans[0].charges[0].price.unit")


STARTED = {"subscription": "s", "customer": "c", "plan": "pro"}
PAID = {"invoice": "1", "currency": "USD"}
NOTE = {"invoice": "1", "reason": "a gift"}
PREPAID = {"customer": "c", "wallet": "w", "currency": "USD"}
ONE_OFF = {"customer": "c", "description": "set-up", "currency": "USD"}


@pytest.mark.parametrize(
    ("kind", "data", "reason", "path"),
    [
        ("subscription.started", STARTED | {"anchor_date": "20240131"}, "bad_billing_event", "anchor_date"),
        ("subscription.started", STARTED | {"anchor_date": "2024-W05-3"}, "bad_billing_event", "anchor_date"),
        ("subscription.started", STARTED | {"ends_at": "20240131T000000Z"}, "bad_billing_event", "ends_at"),
        ("subscription.started", STARTED | {"ends_at": "2024-01-31T00:00Z"}, "bad_billing_event", "ends_at"),
        ("subscription.started", STARTED | {"ends_at": "2024-01-31T00:00:00"}, "bad_billing_event", "ends_at"),
        ("subscription.started", STARTED | {"ends_at": "2024-02-30T00:00:00Z"}, "bad_billing_event", "ends_at"),
        ("subscription.started", STARTED | {"timezone": "Factory"}, "bad_billing_event", "timezone"),
        ("subscription.started", STARTED | {"timezone": 5}, "bad_billing_event", "timezone"),
        ("subscription.started", STARTED | {"plan_version": 10**12}, "bad_billing_event", "plan_version"),
        ("subscription.started", STARTED | {"quantities": {"seats": "-1"}}, "bad_billing_event", "quantities.seats"),
        ("payment.received", PAID | {"amount": "1000000000000"}, "out_of_range", "amount"),
        ("payment.received", PAID | {"amount": "-1"}, "bad_billing_event", "amount"),
        ("wallet.voided", PREPAID | {"amount": "-5"}, "bad_billing_event", "amount"),
        ("credit_note.issued", NOTE | {"amount": "-5"}, "bad_billing_event", "amount"),
        ("credit_note.issued", NOTE | {"lines": [{"amount": "-5"}]}, "bad_billing_event", "lines[0].amount"),
        ("credit_note.issued", NOTE | {"amount": "5", "lines": [{"amount": "2"}]}, "bad_billing_event", "lines"),
        ("credit_note.issued", NOTE | {"amount": "0.1234567890123456789"}, "out_of_range", "amount"),
        ("subscription.started", STARTED | {"anchor_date": "1969-12-31"}, "bad_time", "anchor_date"),
        ("subscription.started", STARTED | {"ends_at": "0001-01-01T00:00:00+14:00"}, "bad_time", "ends_at"),
        ("subscription.started", STARTED | {"ends_at": "9999-12-31"}, "bad_time", "ends_at"),
        ("subscription.started", STARTED | {"plan_version": 1_000_001}, "bad_billing_event", "plan_version"),
        ("wallet.granted", PREPAID | {"amount": 1, "expires_at": "2200-01-02"}, "bad_time", "expires_at"),
        ("wallet.granted", PREPAID | {"amount": 1, "priority": 10**11}, "bad_billing_event", "priority"),
        (
            "one_off.added",
            ONE_OFF | {"amount": 1, "service_period": {"from": "0001-01-01", "to": "2024-01-01"}},
            "bad_time",
            "service_period.from",
        ),
        (
            "one_off.added",
            ONE_OFF | {"amount": 1, "service_period": {"from": "2024-02-01", "to": "2024-01-01"}},
            "bad_time",
            "service_period.to",
        ),
        ("cost.recorded", {"amount": 1, "period": {"from": "2024-01-01", "to": "9999-01-01"}}, "bad_time", "period.to"),
        ("cost.recorded", {"BilledCost": 1, "ChargePeriodEnd": "9999-01-01T00:00:00Z"}, "bad_time", "ChargePeriodEnd"),
        (
            "cost.recorded",
            {"BilledCost": 1, "ChargePeriodStart": "2024-01-02T00:00:00Z", "ChargePeriodEnd": "2024-01-01T00:00:00Z"},
            "bad_time",
            "ChargePeriodEnd",
        ),
        ("cost.recorded", {"BilledCost": "1e12"}, "out_of_range", "BilledCost"),
        ("tenant.updated", {"grace": "999999 weeks"}, "out_of_range", "grace"),
        ("tenant.updated", {"grace": "3661 days"}, "out_of_range", "grace"),
        ("tenant.updated", {"grace": "999999999 weeks"}, "out_of_range", "grace"),
        ("customer.updated", {"customer": "c", "tax_rates": ["1e400"]}, "out_of_range", "tax_rates[0]"),
        ("customer.updated", {"customer": "c", "tax_rates": [{"percent": "1e3"}]}, "bad_billing_event", "tax_rates[0]"),
        ("tenant.updated", {"grace": "a while"}, "bad_billing_event", "grace"),
    ],
)
def test_a_billing_event_is_refused_where_its_readers_would_not_understand_it(
    kind: str, data: dict[str, Any], reason: str, path: str
) -> None:
    with pytest.raises(RefusalError) as refused:
        judge_billing_event(f"billing.{kind}", "acme", data, parse_catalog)
    assert (refused.value.code, refused.value.path) == (reason, f"data.{path}")


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("subscription.started", STARTED | {"ends_at": "2024-01-31t00:00:00.5z"}),
        ("subscription.started", STARTED | {"ends_at": "2024-01-31 00:00:00+05:30"}),
        ("subscription.started", STARTED | {"ends_at": "2024-01-31", "timezone": "Asia/Kathmandu"}),
        ("credit_note.issued", NOTE | {"amount": "5.0", "lines": [{"amount": "2"}, {"amount": "3"}]}),
        ("subscription.started", STARTED | {"quantities": {"seats": "0"}}),
        ("payment.received", PAID | {"amount": "999999999999.999999999999999999"}),
        ("one_off.added", ONE_OFF | {"amount": "-999999999999.999999999999999999"}),
        ("wallet.granted", PREPAID | {"amount": 0, "expires_at": "2200-01-01", "priority": 1_000_000}),
        ("subscription.started", STARTED | {"ends_at": "2200-01-01T00:00:00Z", "anchor_date": "1970-01-01"}),
        ("tenant.updated", {"grace": "3660 days"}),
        ("tenant.updated", {"grace": "316224000 seconds"}),
        ("tenant.updated", {"grace": "0 seconds"}),
    ],
)
def test_a_billing_event_is_taken_up_to_the_edge_of_what_can_be_read(kind: str, data: dict[str, Any]) -> None:
    judge_billing_event(f"billing.{kind}", "acme", data, parse_catalog)
