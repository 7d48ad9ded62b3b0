"""Alerts: failed work, checks that did not pass, assets that are not fresh; sent to any channel that apprise supports.

``VALUEVERSE_ALERT_URLS`` holds apprise addresses (Slack, PagerDuty, mail, ...), separated by blanks; without it alerts
stay in the log.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import dagster as dg

from pipelines.checks import CHECK
from pipelines.failed_partitions import CURE, failed_partitions, lines
from pipelines.repairs import RETRY_OF

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipelines.stages import Stage

ADDRESSES = "VALUEVERSE_ALERT_URLS"
_HISTORY = 2000
"""Records of a check that are looked through, the newest first: a run over a range plans one per partition."""
_SHOWN = 20
"""Assets that an alert names."""


def send(title: str, body: str) -> bool:
    """Send to every address; False when none is set or one of them refused."""
    addresses = os.environ.get(ADDRESSES, "").split()
    if not addresses:
        return False
    import apprise

    sender = apprise.Apprise()
    for address in addresses:
        sender.add(address)
    return bool(sender.notify(title=title, body=body))


def failed_checks(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    """``asset: check`` of every check that did not pass in this run, with its description and its runbook.

    Without those that failed before with the same description, and without the check of failed partitions: they have
    been alerted.
    """
    found = []
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION):
        event = entry.dagster_event
        evaluation = event.asset_check_evaluation_data if event else None
        if evaluation is None or evaluation.passed or evaluation.check_name == CHECK:
            continue
        before = _before(instance, evaluation, run_id)
        if before is None or before.passed or before.description != evaluation.description:
            described = f" ({evaluation.description})" if evaluation.description else ""
            runbook = evaluation.metadata.get("runbook")
            cure = f"; see {runbook.value}" if runbook else ""
            found.append(f"{evaluation.asset_key.to_user_string()}: {evaluation.check_name}{described}{cure}")
    return found


def _before(
    instance: dg.DagsterInstance, evaluation: dg.AssetCheckEvaluation, run_id: str
) -> dg.AssetCheckEvaluation | None:
    """The evaluation of the same check before the one of this run; None: there is none."""
    history = instance.event_log_storage.get_asset_check_execution_history(evaluation.asset_check_key, limit=_HISTORY)
    runs = [record.run_id for record in history]
    if run_id not in runs:
        return None
    earlier = (record.evaluation for record in history[runs.index(run_id) + 1 :])
    # A run that was planned and ended before the check left no evaluation.
    return next((one for one in earlier if isinstance(one, dg.AssetCheckEvaluation)), None)


def _alert(context: dg.SensorEvaluationContext | dg.RunStatusSensorContext, title: str, body: str) -> None:
    if not send(title, body):
        context.log.warning("%s\n%s\n(no alert sent: set %s)", title, body, ADDRESSES)


@dg.run_failure_sensor(
    name="alert_on_run_failure",
    description="Sends an alert when a run fails, with partitions and error: once until they are repaired.",
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=30,
    # Runs of a catch-up or a command have no code location of their own.
    monitor_all_code_locations=True,
)
def alert_on_run_failure(context: dg.RunFailureSensorContext) -> None:
    """Alert the first failure of each partition; a run that left nothing undone each time."""
    run = context.dagster_run
    failures = failed_partitions(context.instance)
    new = [one for one in failures if one.run_ids[0] == run.run_id]
    known = RETRY_OF in run.tags or any(run.run_id in one.run_ids for one in failures)
    if new or not known:
        text = [*lines(new), CURE] if new else [context.failure_event.message or ""]
        _alert(context, f"ValueVerse: {run.job_name} failed", "\n".join([f"run {run.run_id}", *text]))


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    name="alert_on_check_failure",
    description="Sends an alert when a check does not pass: once until it passes or finds something else.",
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=30,
    monitor_all_code_locations=True,
)
def alert_on_check_failure(context: dg.RunStatusSensorContext) -> None:
    """Alert the checks that did not pass."""
    failed = failed_checks(context.instance, context.dagster_run.run_id)
    if failed:
        _alert(
            context,
            f"ValueVerse: {len(failed)} checks did not pass",
            f"run {context.dagster_run.run_id} of {context.dagster_run.job_name}\n" + "\n".join(failed),
        )


def freshness_sensor(stages: Sequence[Stage]) -> dg.SensorDefinition:
    """Alerts assets that are older than their freshness policies allow, as Dagster's daemon finds them to be."""
    keys = sorted({key for stage in stages for key in stage.keys})

    @dg.sensor(
        name="alert_on_freshness",
        description="Sends an alert when assets are older than their freshness policies allow: once until fresh.",
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=60,
    )
    def evaluate(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        states = context.instance.get_freshness_state_records(keys)
        late = {key.to_user_string() for key, record in states.items() if record.freshness_state.value == "FAIL"}
        if new := sorted(late - set(json.loads(context.cursor or "[]"))):
            shown = [*new[:_SHOWN], *([f"and {len(new) - _SHOWN} more"] if len(new) > _SHOWN else [])]
            cure = "no run has materialised them in time: see their last runs in the Dagster UI and `valueverse status`"
            _alert(context, f"ValueVerse: {len(new)} assets are not fresh", "\n".join([*shown, cure]))
        context.update_cursor(json.dumps(sorted(late)))
        return dg.SkipReason(f"Not fresh: {', '.join(sorted(late)) or 'none'}.")

    return evaluate
