"""What Dagster knows of the stages: runs that failed without repair, partitions that wait, and how fresh each is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from valueverse.errors import RefusalError
from valueverse.platform import warehouse
from valueverse.platform.queries import value_of
from valueverse.platform.servers import dagster_home, supervisor

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

_ANY_RUN = "select exists (select from runs)"


@dataclass(frozen=True)
class DagsterOverview:
    """What ``python -m pipelines.overview`` answers.

    Attributes:
        failed: runs that failed last: asset, partitions, attempts, failed_at, run_id, error, sentence.
        stages: stage, materialised_at (null: never), waiting (ranges of partitions).
        cure: of what failed.
    """

    failed: list[dict[str, Any]]
    stages: list[dict[str, Any]]
    cure: str


def dagster_overview(settings: Settings) -> DagsterOverview | None:
    """The overview; None where no run was ever started.

    In a process of its own: Dagster reads its instance from the environment, and ours stays as it is.

    Raises:
        RefusalError: ``postgres_down``; ``no_overview`` where Dagster does not answer.
    """
    with warehouse.connect(settings, "builder", database=settings.dagster_database) as connection:
        known = value_of(connection, "select to_regclass('runs') is not null")
        if not known or not value_of(connection, _ANY_RUN):
            return None
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.overview"],
        cwd=supervisor.project(),
        env={**os.environ, **dagster_home.environment(settings)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
        raise RefusalError("no_overview", f"runs cannot be listed: {reason}; `make validate` shows the whole story")
    return DagsterOverview(**json.loads(done.stdout.splitlines()[-1]))
