"""Bulk loads are exact and keep null apart from the empty string."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import polars as pl
import pytest

from valueverse.errors import RefusalError
from valueverse.platform import warehouse

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration


def test_copy_keeps_every_digit_and_null_apart_from_empty(settings: Settings) -> None:
    digits = Decimal("12345678901234567890.123456789012345678")
    frame = pl.DataFrame(
        {
            "tenant_id": ["acme"] * 3,
            "customer": ["a", "\\N", 'quote " and, comma\nline'],
            "meter": ["m"] * 3,
            "day": [date(2024, 2, 29)] * 3,
            "quantity": [digits, None, Decimal("-0.000000000000000001")],
            "events": [1, 2, 3],
        },
        schema_overrides={"quantity": pl.Decimal(38, 18)},
    )
    with warehouse.connect(settings, "builder") as connection:
        assert warehouse.copy_frame(connection, "billing.usage_daily", frame) == 3
        rows = connection.execute(
            "select customer, quantity, subscription, day from billing.usage_daily order by events"
        ).fetchall()
    assert rows == [
        ("a", digits, "", date(2024, 2, 29)),
        ("\\N", None, "", date(2024, 2, 29)),
        ('quote " and, comma\nline', Decimal("-0.000000000000000001"), "", date(2024, 2, 29)),
    ]


def test_copy_writes_instants_and_nested_values_as_json(settings: Settings) -> None:
    at = datetime(2024, 3, 31, 1, 30, 0, 123456, tzinfo=UTC)
    frame = pl.DataFrame(
        {
            "tenant_id": ["acme"],
            "catalog_hash": ["h"],
            "effective_at": [at],
            "document": [{"plans": [{"key": 'pro"}', "version": 2}], "note": None}],
        },
        schema_overrides={"effective_at": pl.Datetime("us", "UTC")},
    )
    with warehouse.connect(settings, "builder") as connection:
        warehouse.copy_frame(connection, "billing.catalog", frame)
        row = connection.execute("select effective_at, document from billing.catalog").fetchone()
    assert row == (at, {"plans": [{"key": 'pro"}', "version": 2}], "note": None})


def test_copy_refuses_binary_floats(settings: Settings) -> None:
    with warehouse.connect(settings, "builder") as connection, pytest.raises(RefusalError, match="Float64"):
        warehouse.copy_frame(connection, "billing.usage_daily", pl.DataFrame({"quantity": [0.1]}))


def test_an_unreachable_warehouse_names_the_cure(settings: Settings) -> None:
    nowhere = settings.model_copy(update={"external_postgres_url": "postgresql://nobody@127.0.0.1:1/x"})
    with pytest.raises(RefusalError, match="VALUEVERSE_POSTGRES_URL"):
        warehouse.connect(nowhere, "builder")


def test_settings_travel_to_a_child_process(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert type(settings)() == settings
