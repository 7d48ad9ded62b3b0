"""Catalogs over time: which catalog, which meters and which plans held for a tenant at an instant.

A catalog published at ``time`` holds from then until the tenant's next one. Of two with the same time the
one received later holds; a billing event that was replaced or voided does not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from valueverse.catalog.amount_meters import all_meters
from valueverse.catalog.document import catalog_hash, parse_catalog
from valueverse.documents import DocumentError
from valueverse.schemas.catalog import CATALOG_VERSIONS, METER_VERSIONS, PLAN_VERSIONS
from valueverse.schemas.events import REJECTED_EVENTS
from valueverse.schemas.types import INSTANT

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from valueverse.catalog.model import Catalog

CATALOG_PUBLISHED = "billing.catalog.published"

BEGINNING = pl.datetime(1, 1, 1, time_zone="UTC").cast(INSTANT)
"""Before every event: where a catalog given on the command line starts to hold."""


def as_known(instant: datetime | None) -> pl.Expr:
    """Rows with ``received_at`` and ``known_until`` that were valid at ``instant``; None: that are
    now."""
    if instant is None:
        return pl.col("known_until").is_null()
    moment = pl.lit(instant).cast(INSTANT)
    replaced_later = pl.col("known_until").is_null() | (pl.col("known_until") > moment)
    return (pl.col("received_at") <= moment) & replaced_later


@dataclass(frozen=True)
class CatalogHistory:
    """Every catalog a set of tenants has published.

    Attributes:
        catalogs: by hash; tenants that publish the same document share one.
        versions: one row per publication that counts (CATALOG_VERSIONS).
        plans: one row per publication and plan version in it (PLAN_VERSIONS).
        meters: one row per publication and meter in it, with the stretch [valid_from, valid_to) in which it
            decides about events; ``valid_to`` null = still (METER_VERSIONS).
        rejected: publications that could not be read, with the reason (REJECTED_EVENTS).
    """

    catalogs: dict[str, Catalog]
    versions: pl.DataFrame
    plans: pl.DataFrame
    meters: pl.DataFrame
    rejected: pl.DataFrame

    @classmethod
    def from_facts(cls, billing_facts: pl.DataFrame, known_at: datetime | None = None) -> CatalogHistory:
        """Read the ``billing.catalog.published`` events of ``billing_facts``.

        Args:
            billing_facts: tenant, type, time, received_at, source, id, known_until, data.
            known_at: take the facts as they were known at this instant; None: as they are known now.
        """
        facts = billing_facts.filter(
            pl.col("type") == CATALOG_PUBLISHED, pl.col("data").is_not_null(), as_known(known_at)
        )
        read: dict[str, str | DocumentError] = {}
        catalogs: dict[str, Catalog] = {}
        for text in facts["data"].unique().sort():
            try:
                catalog = parse_catalog(text)
            except DocumentError as error:
                read[text] = error
            else:
                read[text] = catalog_hash(catalog)
                catalogs[catalog_hash(catalog)] = catalog
        hashes = {text: found for text, found in read.items() if isinstance(found, str)}
        versions = (
            facts.with_columns(
                pl.col("data").replace_strict(hashes, default=None, return_dtype=pl.String).alias("catalog_hash"),
                pl.col("time").alias("effective_at"),
            )
            .drop_nulls("catalog_hash")
            .sort("tenant", "effective_at", "received_at", "source", "id")
            .unique(["tenant", "effective_at"], keep="last", maintain_order=True)
        )
        return cls._assembled(catalogs, versions.select(CATALOG_VERSIONS.names()), _rejected(facts, read))

    @classmethod
    def everywhere(cls, catalog: Catalog, tenants: Iterable[str]) -> CatalogHistory:
        """One catalog that holds from the beginning of time for each tenant (``simulate --catalog``)."""
        names = sorted(set(tenants))
        versions = pl.DataFrame({"tenant": names}, schema={"tenant": pl.String()}).with_columns(
            pl.lit(catalog_hash(catalog)).alias("catalog_hash"),
            BEGINNING.alias("effective_at"),
            BEGINNING.alias("received_at"),
        )
        return cls._assembled({catalog_hash(catalog): catalog}, versions, REJECTED_EVENTS.to_frame())

    @classmethod
    def _assembled(cls, catalogs: dict[str, Catalog], versions: pl.DataFrame, rejected: pl.DataFrame) -> CatalogHistory:
        stretches = versions.sort("tenant", "effective_at").with_columns(
            pl.col("effective_at").alias("valid_from"),
            pl.col("effective_at").shift(-1).over("tenant").alias("valid_to"),
        )
        plans = PLAN_VERSIONS.conform(versions.join(_plans(catalogs), on="catalog_hash"))
        meters = METER_VERSIONS.conform(stretches.join(_meters(catalogs), on="catalog_hash"))
        return cls(
            catalogs,
            versions.cast(CATALOG_VERSIONS),
            plans.sort("tenant", "plan", "version", "effective_at"),
            meters.sort("tenant", "meter", "valid_from"),
            rejected,
        )


def _rejected(facts: pl.DataFrame, read: dict[str, str | DocumentError]) -> pl.DataFrame:
    problems = {
        text: f"{found.listed} (at {found.path})" if found.path else found.listed
        for text, found in read.items()
        if isinstance(found, DocumentError)
    }
    return (
        facts.with_columns(
            pl.col("data").replace_strict(problems, default=None, return_dtype=pl.String).alias("message")
        )
        .drop_nulls("message")
        .select(
            "tenant",
            "source",
            pl.col("id").alias("event_id"),
            "type",
            pl.lit("bad_catalog").alias("reason"),
            "message",
            pl.col("time").alias("event_time"),
        )
    )


def _plans(catalogs: dict[str, Catalog]) -> pl.DataFrame:
    rows = [
        {
            "catalog_hash": key,
            "plan": plan.key,
            "version": plan.version,
            "currency": plan.currency or catalog.currency,
            "timezone": catalog.timezone,
            "every": plan.period.every,
            "unit": plan.period.unit,
            "align": plan.period.align,
            "trial_days": plan.trial.days if plan.trial else 0,
            "grace_seconds": int(catalog.grace.total_seconds()),
            "counted_fees": [fee.key for fee in plan.fees if fee.unit_amount is not None],
        }
        for key, catalog in catalogs.items()
        for plan in catalog.plans
    ]
    own = {name: dtype for name, dtype in PLAN_VERSIONS.items() if name not in {"tenant", "effective_at"}}
    return pl.DataFrame(rows, schema=own)


def _meters(catalogs: dict[str, Catalog]) -> pl.DataFrame:
    rows = [
        {
            "catalog_hash": key,
            "meter": meter.key,
            "event_type": meter.event_type,
            "aggregation": meter.aggregation,
            "carry_over": meter.carry_over,
            "rounding_mode": meter.rounding.mode if meter.rounding else None,
            "rounding_places": meter.rounding.places if meter.rounding else None,
        }
        for key, catalog in catalogs.items()
        for meter in all_meters(catalog)
    ]
    own = {name: dtype for name, dtype in METER_VERSIONS.items() if name not in {"tenant", "valid_from", "valid_to"}}
    return pl.DataFrame(rows, schema=own)
