"""One ingestion: files, inbox and topic into the lake, their outcomes into the warehouse, the dates they touch."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from valueverse.platform.kafka.topic_reader import TopicReader
from valueverse.platform.live_events import EventAnnouncer
from valueverse.platform.warehouse import connect
from valueverse.schemas.ingestion import IGNORED_FILES
from valueverse.services.ingestion.file_manifest import record_published
from valueverse.services.ingestion.file_status import publish_ingestion
from valueverse.services.ingestion.inbox import Inbox
from valueverse.services.ingestion.ingest import IngestionReport, ingest
from valueverse.services.ingestion.invalidation import invalidated_between
from valueverse.services.ingestion.landing_state import landing_state
from valueverse.services.ingestion.topic import Topic

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date, datetime

    from valueverse.platform.isolation import Failure
    from valueverse.platform.lake import Lake
    from valueverse.platform.settings import Settings


@dataclass(frozen=True)
class LandingReport:
    """What one ingestion did.

    Attributes:
        files: files, reasons and ignored entries of the ingestion.
        state: ``landing_state`` before the folder was read.
        touched: event dates that have to be derived again, in order.
        unrecorded: tenants whose files could not be written to the warehouse.
    """

    files: IngestionReport
    state: str
    touched: list[date]
    unrecorded: list[Failure]

    def counts(self) -> dict[str, int]:
        """Events received, accepted, duplicate and quarantined, of all files."""
        names = ("received", "accepted", "duplicate", "quarantined")
        return {name: int(self.files.files[name].sum()) for name in names}

    def quarantined_by_reason(self) -> pl.DataFrame:
        """reason, events: the most frequent first."""
        totals = self.files.reasons.group_by("reason").agg(pl.col("events").sum())
        return totals.sort("events", "reason", descending=[True, False])

    def ignored(self) -> pl.DataFrame:
        """IGNORED_FILES: what lies in the landing folder and was not taken, by reason."""
        rows = [(one.name, one.reason) for one in self.files.ignored]
        return pl.DataFrame(rows, IGNORED_FILES, orient="row").sort("reason", "name")


def run_ingestion(settings: Settings, lake: Lake, since: datetime, now: datetime) -> LandingReport:
    """Take the landing files, what came by the API, and what waits in the topic.

    Args:
        settings: where landing folder, dedup index and warehouse are.
        lake: where events go.
        since: received-at instant up to which touched dates have been marked: a killed run may have marked none.
        now: the received-at instant of the new events, at the earliest.
    """
    state = landing_state(settings.landing)
    with (
        connect(settings, "builder", autocommit=True) as connection,
        _topic(settings) as topic,
        EventAnnouncer(settings) as announcer,
    ):
        inbox = Inbox(connection, settings.home / "inbox")
        report = ingest(
            lake, settings.landing, settings.home / "index", now, inbox=inbox, topic=topic, announcer=announcer
        )
    with connect(settings, "builder") as connection:
        unrecorded = publish_ingestion(connection, report)
    if not unrecorded:
        record_published(lake)
    dates = pl.concat([report.touched["event_date"], invalidated_between(lake, since, now)["event_date"]])
    return LandingReport(report, state, sorted(dates.unique()), unrecorded)


@contextmanager
def _topic(settings: Settings) -> Iterator[Topic | None]:
    """The topic that the settings name, if they do."""
    if settings.kafka_brokers is None:
        yield None
        return
    with closing(TopicReader(settings)) as reader:
        yield Topic(settings.kafka_topic, reader, settings.home / "topic")
