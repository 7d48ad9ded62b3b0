"""What of the stages failed, waits and how fresh each is: ``python -m pipelines.overview``, for ``valueverse status``.

One JSON document on standard output, of the instance that the environment names. The stages' assets are named here
and not imported: that takes seconds, and ``status`` is asked often. A test compares the names with the stages.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.asset_helpers import pending
from assets.partitions import contiguous
from pipelines.failed_partitions import CURE, failed_partitions, grouped_by_run, lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipelines.failed_partitions import Failure


@dataclass(frozen=True)
class Watched:
    """A stage: the asset that it is done with, and those whose newer partitions make work for it."""

    done: str
    marks: tuple[str, ...] = ()
    is_monthly: bool = True


_MEASURED_MONTHS = ("billing/invoices", "billing/changed_months", "value/cost_months")
WATCHED = {
    "ingestion": Watched("ingestion/landing"),
    "usage": Watched("lake/usage", ("lake/events",), is_monthly=False),
    "billing": Watched("billing/invoices", ("billing/periods",)),
    "journal": Watched("billing/journal"),
    "value": Watched("value/realisation", _MEASURED_MONTHS),
    "release": Watched("quality/release", _MEASURED_MONTHS),
    "marts": Watched("quality/published", ("quality/release",)),
    "audit": Watched("audit/log"),
}
"""By name of the stage."""


def overview(instance: dg.DagsterInstance) -> dict[str, Any]:
    """``failed``: one entry per run that failed last; ``stages``: when each was last materialised, and what waits."""
    return {
        "failed": [_failure(group) for group in grouped_by_run(failed_partitions(instance))],
        "stages": [_stage(instance, name, stage) for name, stage in WATCHED.items()],
        "cure": CURE,
    }


def _failure(group: Sequence[Failure]) -> dict[str, Any]:
    first = group[0]
    return {
        "asset": first.asset.to_user_string(),
        "partitions": first.shown_partitions() or None,
        "attempts": first.attempts,
        "failed_at": first.failed_at.isoformat(),
        "run_id": first.run.run_id,
        "error": " ".join(first.error.split()),
        "sentence": " ".join(lines(group)[0].split()),
    }


def _stage(instance: dg.DagsterInstance, name: str, stage: Watched) -> dict[str, Any]:
    done = dg.AssetKey.from_user_string(stage.done)
    records = instance.fetch_materializations(done, limit=1).records
    newest = datetime.fromtimestamp(records[0].timestamp, UTC).isoformat() if records else None
    return {"stage": name, "materialised_at": newest, "waiting": _waiting(instance, stage, done)}


def _waiting(instance: dg.DagsterInstance, stage: Watched, done: dg.AssetKey) -> list[str]:
    """Ranges of partitions that are out of date, ``first...last``."""
    due = pending(instance, [dg.AssetKey.from_user_string(one) for one in stage.marks], done)
    return ["...".join(dict.fromkeys(one)) for one in contiguous(due.keys(), monthly=stage.is_monthly)]


def main() -> None:
    """Write the overview of the instance that the environment names."""
    with dg.DagsterInstance.get() as instance:
        sys.stdout.write(json.dumps(overview(instance)) + "\n")


if __name__ == "__main__":
    main()
