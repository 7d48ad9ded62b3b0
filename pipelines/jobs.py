"""One job per stage of the way from files to marts; the checks of an asset run with it."""

from __future__ import annotations

from typing import Any

import dagster as dg

from assets.billing import INVOICES
from assets.ingestion import FACTS, LANDING
from assets.journal import JOURNAL
from assets.metering import USAGE
from assets.quality import RELEASE
from assets.value import REALISATION
from valueverse.services.months import FIRST_DAY

# Concurrency is by pool, not by process: one run's steps are few and follow each other.
ONE_PROCESS = dg.in_process_executor

ingestion_job = dg.define_asset_job(
    "ingestion_job",
    selection=dg.AssetSelection.assets(LANDING, FACTS),
    description="Take the landing files into the lake and mark the partitions they touch.",
    executor_def=ONE_PROCESS,
)

usage_job = dg.define_asset_job(
    "usage_job",
    selection=dg.AssetSelection.assets(USAGE),
    description="Derive typed usage of a range of event dates.",
    executor_def=ONE_PROCESS,
)

billing_job = dg.define_asset_job(
    "billing_job",
    selection=dg.AssetSelection.assets(INVOICES, JOURNAL),
    description="Bill a range of months: every period that closes in them; then book the journal.",
    executor_def=ONE_PROCESS,
)

journal_job = dg.define_asset_job(
    "journal_job",
    selection=dg.AssetSelection.assets(JOURNAL),
    description="Book the journal of what was billed by a run that ended before it did.",
    executor_def=ONE_PROCESS,
)

value_job = dg.define_asset_job(
    "value_job",
    selection=dg.AssetSelection.assets(REALISATION),
    description="Measure what came of committed value models in the months of a range that are over; propose fees.",
    executor_def=ONE_PROCESS,
)

release_job = dg.define_asset_job(
    "release_job",
    selection=dg.AssetSelection.assets(RELEASE),
    description="Reconcile a range of months and decide which tenants may be published.",
    executor_def=ONE_PROCESS,
)

marts_job = dg.define_asset_job(
    "marts_job",
    selection=dg.AssetSelection.groups("marts"),
    description="Build the marts of released tenants; config narrows it to tenants and months.",
    executor_def=ONE_PROCESS,
)


def marts_config(first: str, last: str) -> dict[str, Any]:
    """Run config of ``marts_job`` for what monthly partitions stand for, from ``first`` to ``last`` (keys).

    The first partition also stands for all months before it: then no first month is given.
    """
    months = {} if first == FIRST_DAY.isoformat() else {"periods_from": first[:7]}
    return {"ops": {"dbt_models": {"config": {**months, "periods_to": last[:7]}}}}


JOBS = [ingestion_job, usage_job, billing_job, journal_job, value_job, release_job, marts_job]
