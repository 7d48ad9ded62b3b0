"""Run failures and failed checks, told where people look: Slack, PagerDuty, mail, all that apprise speaks.

``VALUEVERSE_ALERT_URLS`` holds apprise addresses, separated by blanks; without it alerts stay in the log.
"""

from __future__ import annotations

import os

import dagster as dg

ADDRESSES = "VALUEVERSE_ALERT_URLS"


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
    """``asset: check`` of every check that did not pass in this run, and what it says: whoever is held, and why."""
    found = []
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION):
        event = entry.dagster_event
        evaluation = event.asset_check_evaluation_data if event else None
        if evaluation and not evaluation.passed:
            said = f" ({evaluation.description})" if evaluation.description else ""
            found.append(f"{evaluation.asset_key.to_user_string()}: {evaluation.check_name}{said}")
    return found


def _tell(context: dg.SensorEvaluationContext | dg.RunStatusSensorContext, title: str, body: str) -> None:
    if not send(title, body):
        context.log.warning("%s\n%s\n(no alert sent: set %s)", title, body, ADDRESSES)


@dg.run_failure_sensor(
    name="alert_on_run_failure",
    description="Sends an alert when a run fails, naming the step and the error.",
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=30,
)
def alert_on_run_failure(context: dg.RunFailureSensorContext) -> None:
    """Tell that a run failed."""
    _tell(
        context,
        f"ValueVerse: {context.dagster_run.job_name} failed",
        f"run {context.dagster_run.run_id}\n{context.failure_event.message or ''}",
    )


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    name="alert_on_check_failure",
    description="Sends an alert when a run that succeeded holds a check that did not pass.",
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=30,
)
def alert_on_check_failure(context: dg.RunStatusSensorContext) -> None:
    """Tell which checks did not pass."""
    failed = failed_checks(context.instance, context.dagster_run.run_id)
    if failed:
        _tell(
            context,
            f"ValueVerse: {len(failed)} checks did not pass",
            f"run {context.dagster_run.run_id} of {context.dagster_run.job_name}\n" + "\n".join(failed),
        )
