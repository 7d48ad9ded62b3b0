"""A code location with the platform's first stage alone, whose sensors do not pause: what a test's daemon runs.

The sensor ``long_sessions`` is left out: it would end sessions of other tests on the server that all share.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import dagster as dg

from assets.resources import Platform
from pipelines import repairs
from pipelines.checks import checks_of
from pipelines.jobs import jobs_of
from pipelines.sensors import sensors_of
from pipelines.stages import by_name

repairs.pause_after = lambda _attempts: timedelta(0)
repairs.INTERVAL_SECONDS = 1

_STAGE = by_name()["ingestion"]
STAGES = [replace(_STAGE, sensor=replace(_STAGE.sensor, seconds=1), schedule=None)]
JOBS = jobs_of(STAGES)

defs = dg.Definitions(
    assets=[*_STAGE.assets, *_STAGE.marks],
    asset_checks=[*_STAGE.checks, *checks_of(STAGES)],
    resources={"platform": Platform()},
    jobs=JOBS,
    executor=dg.in_process_executor,
    sensors=[sensor for sensor in sensors_of(STAGES, JOBS) if sensor.name in {_STAGE.sensor.name, "failed_partitions"}],
)
