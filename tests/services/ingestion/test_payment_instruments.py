"""The number of a card that comes in a file is stored nowhere but in the file; the search for it finds planted ones."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import polars as pl
import pytest

from tests.support.card_scan import places_with_card_numbers
from tests.support.landing import NOW, event, founding
from valueverse.platform.lake import Lake
from valueverse.platform.warehouse import connect
from valueverse.services.ingestion.run_ingestion import run_ingestion
from valueverse.services.lake_tables import EVENTS_TABLE, QUARANTINE_TABLE
from valueverse.services.usage.refresh_facts import BEGINNING

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration
CARD = "4111111111111111"


def test_a_card_number_in_a_file_is_quarantined_without_its_text_and_found_where_it_is_planted(
    settings: Settings,
) -> None:
    customer = {"customer": "c1", "metadata": {"card": CARD}}
    folder = settings.landing / "acme"
    folder.mkdir()
    lines = [founding(), event("k", customer, type="billing.customer.created", subject=None)]
    (folder / "a.ndjson").write_text("".join(f"{line}\n" for line in map(_json, lines)))
    lake = Lake(settings.lake_url)
    run_ingestion(settings, lake, BEGINNING, NOW)
    refused = lake.scan(QUARANTINE_TABLE).collect()
    assert refused.select("id", "reason", "path", "raw").rows() == [
        ("k", "payment_instrument", "data.metadata.card", "")
    ]
    assert list(places_with_card_numbers(settings)) == ["landing/acme/a.ndjson"]

    shutil.rmtree(settings.landing)
    planted = lake.scan(EVENTS_TABLE).collect()
    lake.append(
        EVENTS_TABLE,
        planted.head(1).with_columns(pl.lit("planted").alias("id"), pl.lit(f'{{"n":"{CARD}"}}').alias("data")),
    )
    (settings.home / "logs").mkdir(exist_ok=True)
    (settings.home / "logs" / "api.log").write_text(f"paid by {CARD[:4]} {CARD[4:8]} {CARD[8:12]} {CARD[12:]}\n")
    with connect(settings, "builder") as connection:
        connection.execute("update billing.ingestion_file set file = %s", [f"card {CARD}.ndjson"])
    found = places_with_card_numbers(settings)
    assert {place.split("/")[0] for place in found} == {"billing.ingestion_file", "logs", "lake"}
    assert any(place.endswith(".parquet") for place in found)


def _json(line: dict[str, object]) -> str:
    return json.dumps({name: value for name, value in line.items() if value is not None})
