"""A standing check per stage that fails while partitions failed and were not repaired."""
# No postponed annotations here: Dagster reads the types of a check's function when it is imported.

from collections.abc import Collection, Iterable, Sequence

import dagster as dg
import polars as pl

from assets.check_results import what_to_do
from assets.metadata import preview
from pipelines.failed_partitions import CURE, Failure, failed_partitions, lines
from pipelines.stages import Stage

CHECK = "no_partition_failed"


def checks_of(stages: Sequence[Stage]) -> list[dg.AssetChecksDefinition]:
    """A check per stage that fails while partitions of its assets failed and were not repaired."""
    return [_check(stage, stages) for stage in stages]


def _check(stage: Stage, stages: Sequence[Stage]) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=stage.shown_on,
        name=CHECK,
        description="No partition of the stage failed without being repaired; else which, why, and what to do.",
    )
    def evaluate(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        found = _evaluation(stage, _of(stage, stages, failed_partitions(context.instance)))
        return dg.AssetCheckResult(
            passed=found.passed, severity=found.severity, description=found.description, metadata=found.metadata
        )

    return evaluate


def changed_evaluations(
    instance: dg.DagsterInstance, stages: Sequence[Stage], failures: Collection[Failure]
) -> list[dg.AssetCheckEvaluation]:
    """Evaluations of the checks whose outcome or description differs from the last one recorded.

    And of those whose asset was materialised since: Dagster shows a check as not evaluated until it is younger.
    """
    found = []
    for stage in stages:
        new = _evaluation(stage, _of(stage, stages, failures))
        record = instance.get_latest_asset_check_evaluation_record(new.asset_check_key)
        last = record.evaluation if record else None
        # A run that planned the check and ended before it leaves a record without an evaluation.
        if record is None or record.event is None or not isinstance(last, dg.AssetCheckEvaluation):
            found.append(new)
            continue
        latest = instance.fetch_materializations(stage.shown_on, limit=1).records
        is_older = bool(latest) and latest[0].timestamp >= record.event.timestamp
        if is_older or (last.passed, last.description) != (new.passed, new.description):
            found.append(new)
    return found


def _of(stage: Stage, stages: Sequence[Stage], failures: Iterable[Failure]) -> list[Failure]:
    """Failures of the assets that the stage is the smallest one to have."""

    def owner(asset: dg.AssetKey) -> Stage | None:
        having = [one for one in stages if asset in one.keys]
        return min(having, key=lambda one: len(one.keys), default=None)

    return [failure for failure in failures if owner(failure.asset) is stage]


def _evaluation(stage: Stage, failures: Sequence[Failure]) -> dg.AssetCheckEvaluation:
    sentences = lines(failures)
    rows = [
        (
            one.asset.to_user_string(), one.shown_partitions(), ", ".join(sorted(one.scope.tenants)), one.attempts,
            f"{one.failed_at:%Y-%m-%d %H:%M} UTC", one.run.run_id, one.error,
        )
        for one in failures
    ]  # fmt: skip
    names = ("asset", "partitions", "tenants", "attempts", "last", "run", "error")
    return dg.AssetCheckEvaluation(
        asset_key=stage.shown_on,
        check_name=CHECK,
        passed=not failures,
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join([*sentences[:5], CURE]) if sentences else None,
        metadata={"failed": preview(pl.DataFrame(rows, names, orient="row")), "cure": CURE, **what_to_do(CHECK)}
        if sentences
        else {},
    )
