"""What Prometheus reads of an installation when it asks: inbox, audit log, queues, held tenants, runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from valueverse.errors import RefusalError
from valueverse.platform.stores import metrics_store as store
from valueverse.platform.warehouse import connect
from valueverse.services.audit.checkpoints import newest_checkpoint
from valueverse.services.ingestion.topic import topic_lags

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import structlog
    from prometheus_client.core import Metric

    from valueverse.platform.settings import Settings

OTHER = "other"
"""Stage of a run that none of the stages' jobs is, e.g. one of a person's own choice of assets."""
_JOB = "_job"
_ENDED = {"SUCCESS": "success", "FAILURE": "failure", "CANCELED": "canceled"}
_LIMIT = "set statement_timeout to '5s'"


class InstallationMetrics(Collector):
    """The metrics of ``settings``' databases, read each time they are asked for. No label is a tenant.

    A database that does not answer costs its own metrics alone: ``valueverse_database_readable`` is 0 then.
    """

    def __init__(self, settings: Settings, log: structlog.typing.FilteringBoundLogger) -> None:
        self._settings = settings
        self._log = log

    def collect(self) -> Iterable[Metric]:
        """What holds now."""
        readable = GaugeMetricFamily(
            "valueverse_database_readable", "1: the database answered this scrape, else 0.", labels=["database"]
        )
        sources = {
            "warehouse": (self._settings.database_name, _warehouse),
            "dagster": (self._settings.dagster_database, _dagster),
        }
        for name, (database, read) in sources.items():
            found = self._read(database, read)
            readable.add_metric([name], int(found is not None))
            yield from found or []
        yield readable
        if self._settings.kafka_brokers is not None:
            yield from self._topic()

    def _topic(self) -> Iterator[Metric]:
        """How far ingestion is behind in each partition; Kafka, or the lake, that does not answer is named too."""
        readable = _gauge("valueverse_topic_readable", "1: Kafka and the lake answered this scrape, else 0.", 1)
        try:
            lags = topic_lags(self._settings)
        except RefusalError as refusal:
            self._log.warning("metrics of the topic are missing", reason=refusal.message)
            yield _gauge(readable.name, readable.documentation, 0)
            return
        part = ["partition"]
        waiting = GaugeMetricFamily(
            "valueverse_topic_waiting_messages", "Messages that ingestion has not taken yet.", labels=part
        )
        taken = GaugeMetricFamily(
            "valueverse_topic_next_offset", "The first offset that ingestion has not taken.", labels=part
        )
        problem = GaugeMetricFamily(
            "valueverse_topic_problem", "1: messages are lost, or ingestion leaves the partition alone.", labels=part
        )
        for one in lags:
            for family, value in ((waiting, one.waiting), (taken, one.next_offset), (problem, int(bool(one.problem)))):
                family.add_metric([str(one.partition)], value)
        yield from (waiting, taken, problem, readable)

    def _read(
        self, database: str, read: Callable[[Settings, psycopg.Connection], Iterator[Metric]]
    ) -> list[Metric] | None:
        try:
            with connect(self._settings, "builder", database=database, autocommit=True) as connection:
                connection.execute(_LIMIT)
                return list(read(self._settings, connection))
        except (RefusalError, psycopg.Error) as error:
            self._log.warning("metrics of a database are missing", database=database, reason=str(error))
            return None


def _warehouse(settings: Settings, connection: psycopg.Connection) -> Iterator[Metric]:
    inbox = store.inbox(connection)
    requests = GaugeMetricFamily(
        "valueverse_inbox_requests", "Requests of events that ingestion has not taken yet.", labels=["state"]
    )
    requests.add_metric(["waiting"], inbox["waiting"])
    requests.add_metric(["draining"], inbox["draining"])
    yield requests
    yield _gauge("valueverse_inbox_events", "Events of these requests.", inbox["events"])
    yield _gauge("valueverse_inbox_bytes", "Bytes of these requests.", inbox["bytes"])
    yield _gauge("valueverse_inbox_oldest_seconds", "Age of the oldest of these requests.", inbox["oldest"])
    yield CounterMetricFamily("valueverse_inbox_drains", "Drains that were begun.", store.drains(connection))
    audit = store.submitted(connection)
    yield _gauge("valueverse_audit_waiting_entries", "Entries without a place in the audit log.", audit["waiting"])
    yield _gauge("valueverse_audit_waiting_seconds", "Age of the oldest of these entries.", audit["oldest"])
    yield _gauge(
        "valueverse_audit_unsigned_logs",
        "Audit logs whose newest entries no checkpoint covers.",
        _unsigned(settings, store.log_sizes(connection)),
    )
    webhooks = store.webhooks(connection)
    yield _gauge("valueverse_webhooks_waiting", "Notifications that wait for an attempt.", webhooks["waiting"])
    yield _gauge("valueverse_webhooks_overdue_seconds", "How long one of them has been due.", webhooks["overdue"])
    yield from _queues(connection)
    held = GaugeMetricFamily("valueverse_held_tenants", "Tenants that are held, by stage.", labels=["stage"])
    for row in store.held(connection):
        held.add_metric([row["stage"]], row["tenants"])
    yield held


def _queues(connection: psycopg.Connection) -> Iterator[Metric]:
    jobs = GaugeMetricFamily("valueverse_queue_jobs", "Jobs of background work.", labels=["queue", "state"])
    overdue = GaugeMetricFamily(
        "valueverse_queue_overdue_seconds", "How long the oldest of those that wait has been due.", labels=["queue"]
    )
    for row in store.queues(connection):
        for state in ("waiting", "working", "failed"):
            jobs.add_metric([row["queue"], state], row[state])
        overdue.add_metric([row["queue"]], row["overdue"])
    yield from (jobs, overdue)


def _unsigned(settings: Settings, sizes: dict[str, int]) -> int:
    signed = {tenant: newest_checkpoint(settings, tenant) for tenant in sizes}
    covered = {tenant: found.checkpoint.size for tenant, found in signed.items() if found}
    return sum(size > covered.get(tenant, 0) for tenant, size in sizes.items())


def _dagster(_settings: Settings, connection: psycopg.Connection) -> Iterator[Metric]:
    ended = CounterMetricFamily("valueverse_stage_runs", "Runs that ended, by result.", labels=["stage", "result"])
    last = GaugeMetricFamily(
        "valueverse_stage_last_run_timestamp_seconds", "When the last such run ended.", labels=["stage", "result"]
    )
    active = GaugeMetricFamily("valueverse_stage_active_runs", "Runs that wait or are under way.", labels=["stage"])
    under_way: dict[str, int] = {}
    for (stage, result), (runs, at) in _by_stage(store.runs(connection)).items():
        if result is None:
            under_way[stage] = runs
            continue
        ended.add_metric([stage, result], runs)
        last.add_metric([stage, result], at)
    for stage, runs in under_way.items():
        active.add_metric([stage], runs)
    failed = GaugeMetricFamily("valueverse_stage_failed", "1: its last run failed, else 0.", labels=["stage"])
    seconds = GaugeMetricFamily(
        "valueverse_stage_last_run_duration_seconds", "Duration of its last run.", labels=["stage"]
    )
    for row in store.last_runs(connection):
        if (stage := _stage(row["job"])) != OTHER:
            failed.add_metric([stage], int(row["status"] == "FAILURE"))
            seconds.add_metric([stage], row["seconds"] or 0)
    beats = GaugeMetricFamily(
        "valueverse_dagster_heartbeat_seconds", "Time since the daemon's last heartbeat.", labels=["daemon"]
    )
    for row in store.heartbeats(connection):
        beats.add_metric([row["daemon"].lower()], row["seconds"])
    yield from (ended, last, active, failed, seconds, beats)


def _by_stage(rows: Iterable[dict[str, Any]]) -> dict[tuple[str, str | None], tuple[int, Any]]:
    """(stage, result; None: under way) -> runs, and when the last one ended, in seconds since the epoch."""
    found: dict[tuple[str, str | None], tuple[int, Any]] = {}
    for row in rows:
        key = (_stage(row["job"]), _ENDED.get(row["status"]))
        runs, at = found.get(key, (0, 0))
        found[key] = (runs + row["runs"], max(at, row["ended"] or 0))
    return found


def _stage(job: str) -> str:
    """The stage of a job. Jobs are those of the code; whatever else Dagster ran has no name of its own here."""
    return job.removesuffix(_JOB) if job.endswith(_JOB) and not job.startswith("__") else OTHER


def _gauge(name: str, meaning: str, value: Any) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, meaning, value)
