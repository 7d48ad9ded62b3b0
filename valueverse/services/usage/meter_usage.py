"""Meters of a tenant as it has published them, and what they come to by the engine of billing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from valueverse.catalog import CatalogHistory
from valueverse.errors import RefusalError, did_you_mean
from valueverse.events import is_time_zone
from valueverse.metering import UsageQuestion, answer_usage
from valueverse.services.lake_tables import BILLING_FACTS_TABLE, USAGE_TABLE

if TYPE_CHECKING:
    from datetime import datetime

    from valueverse.catalog import Meter
    from valueverse.platform.lake import Lake


@dataclass(frozen=True)
class PublishedMeter:
    """A meter as the tenant's newest catalog with it has it.

    Attributes:
        meter: what it says.
        since: from when the first catalog with it holds.
        changed: from when the newest does.
    """

    meter: Meter
    since: datetime
    changed: datetime


def published_meters(lake: Lake, tenant: str) -> dict[str, PublishedMeter]:
    """The meters of every catalog of the tenant, by key."""
    return _published(_history(lake, tenant))


def meter_usage(lake: Lake, question: UsageQuestion) -> pl.DataFrame:
    """The answer to a question (ASKED_USAGE) by what ingestion and usage have derived.

    Raises:
        RefusalError: ``unknown_meter``, ``unknown_dimension``, ``bad_timezone``, ``too_many_rows``.
    """
    history = _history(lake, question.tenant, question.known_at)
    meters = _published(history)
    if question.meter not in meters:
        hint = did_you_mean(question.meter, list(meters))
        raise RefusalError("unknown_meter", f"no meter has the key {question.meter[:60]!r}{hint.ending}", "meter")
    meter = meters[question.meter].meter
    for name in (*question.group_by, *question.filters):
        if name not in meter.dimensions:
            hint = did_you_mean(name, meter.dimensions)
            what = f"the meter {meter.key!r} has no dimension {name[:60]!r}{hint.ending}"
            raise RefusalError("unknown_dimension", what, "groupBy")
    if not is_time_zone(question.timezone):
        what = f"{question.timezone[:60]!r} is not an IANA time zone such as 'UTC' or 'Europe/Berlin'"
        raise RefusalError("bad_timezone", what, "windowTimeZone")
    opened = lake.open(USAGE_TABLE)
    days = opened.dates()
    # A level goes on from before the question.
    if question.begins is not None and not meter.carry_over:
        days = [day for day in days if day >= question.begins.date()]
    if question.ends is not None:
        days = [day for day in days if day <= question.ends.date()]
    return answer_usage(opened.scan(days), history.meters, question)


def _history(lake: Lake, tenant: str, known_at: datetime | None = None) -> CatalogHistory:
    facts = lake.scan(BILLING_FACTS_TABLE).filter(pl.col("tenant") == tenant).collect()
    return CatalogHistory.from_facts(facts, known_at)


def _published(history: CatalogHistory) -> dict[str, PublishedMeter]:
    found: dict[str, PublishedMeter] = {}
    dated = history.versions.sort("tenant", "effective_at").select("catalog_hash", "effective_at")
    for key, effective_at in dated.iter_rows():
        for meter in history.catalogs[key].meters:
            known = found.get(meter.key)
            found[meter.key] = PublishedMeter(meter, known.since if known else effective_at, effective_at)
    return found
