"""The status of an installation: servers, stages, jobs, held tenants, what was refused or not taken, and disk.

Answers also while servers are down: what is not known then is named, with the command that changes it.
"""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from valueverse.dates import utc_text
from valueverse.errors import RefusalError
from valueverse.landing import files_to_take
from valueverse.platform.lake import Lake
from valueverse.platform.servers import postgres_server, supervisor
from valueverse.platform.servers.dagster_overview import DagsterOverview, dagster_overview
from valueverse.platform.stores import held_invoice_store, held_store, inbox_store, operations_store
from valueverse.platform.warehouse import connect
from valueverse.services.ingestion.file_manifest import taken_files
from valueverse.services.ingestion.landing_state import files_without_events
from valueverse.services.ingestion.topic import topic_lags
from valueverse.services.privacy.erasure_register import forgotten

if TYPE_CHECKING:
    from datetime import datetime

    from valueverse.platform.settings import Settings

NO_POSTGRES = (
    "PostgreSQL does not answer: what failed, waits, is held, quarantined or rejected is not known; "
    "`valueverse up --only postgres` starts it"
)


@dataclass(frozen=True)
class Business:
    """What the warehouse and Dagster know; empty while PostgreSQL is down.

    Attributes:
        overview: runs and stages; None: no run was ever started.
        held: HELD_TENANTS as mappings.
        held_months: as ``held_store.held_months``.
        held_invoices: as ``held_invoice_store.held_invoices``.
        quarantined: tenant, reason, lines, files, newest_day, newest_file, example.
        rejected: tenant, reason, events, newest_time, source, event_id, message.
        inbox: tenant, requests, events, oldest of what came by the API and no ingestion has taken yet.
        jobs: kind, queue, waiting, running, failed jobs of background work.
        undone: as ``erasure_register.forgotten``.
    """

    overview: DagsterOverview | None = None
    held: list[dict[str, Any]] = field(default_factory=list)
    held_months: list[dict[str, Any]] = field(default_factory=list)
    held_invoices: list[dict[str, Any]] = field(default_factory=list)
    quarantined: list[dict[str, Any]] = field(default_factory=list)
    rejected: list[dict[str, Any]] = field(default_factory=list)
    inbox: list[dict[str, Any]] = field(default_factory=list)
    jobs: list[dict[str, Any]] = field(default_factory=list)
    undone: list[dict[str, Any]] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether a tenant, a month or an invoice is held."""
        return bool(self.held or self.held_months or self.held_invoices)


@dataclass(frozen=True)
class InstallationStatus:
    """Everything an operator looks at first.

    Attributes:
        home: folder of the installation.
        at: when it was read.
        servers: state of each.
        unknown: sentences about what could not be read, each with its cure.
        business: what the warehouse and Dagster know.
        ignored: names in the landing folder that add no event, and why.
        untaken: landing files that no ingestion has taken yet.
        topic: partition, next_offset, end, waiting and problem of each partition with messages that no ingestion has
            taken yet, or with a problem.
        disk: place, free and total bytes of the disks that the installation writes to.
    """

    home: Path
    at: datetime
    servers: list[supervisor.Status]
    unknown: list[str]
    business: Business
    ignored: list[dict[str, str]]
    untaken: list[str]
    topic: list[dict[str, Any]]
    disk: list[dict[str, Any]]

    @property
    def needs_attention(self) -> bool:
        """Whether a server crashed or hangs, a run failed without repair, or something is held."""
        broken = any(one.state in {"crashed", "not answering"} for one in self.servers)
        failed = self.business.overview is not None and bool(self.business.overview.failed)
        return broken or failed or self.business.holds

    def stages(self) -> list[dict[str, Any]]:
        """stage, materialised_at, waiting, failed runs and held tenants of each stage."""
        overview = self.business.overview
        held = {one["stage"]: 0 for one in self.business.held}
        for one in self.business.held:
            held[one["stage"]] += 1
        return [one | {"held": held.get(one["stage"], 0)} for one in (overview.stages if overview else [])]

    def document(self) -> dict[str, Any]:
        """The answer as JSON values."""
        overview = self.business.overview
        return {
            "home": self.home,
            "at": self.at,
            "servers": [asdict(one) for one in self.servers],
            "unknown": self.unknown,
            "stages": self.stages(),
            "failed": overview.failed if overview else [],
            "held": self.business.held,
            "held_months": self.business.held_months,
            "held_invoices": self.business.held_invoices,
            "quarantined": self.business.quarantined,
            "rejected": self.business.rejected,
            "ignored": self.ignored,
            "untaken": self.untaken,
            "topic": self.topic,
            "jobs": self.business.jobs,
            "inbox": [one | {"oldest": utc_text(one["oldest"])} for one in self.business.inbox],
            "disk": self.disk,
            "needs_attention": self.needs_attention,
        }


def read_status(settings: Settings, moment: datetime) -> InstallationStatus:
    """Look at everything; nothing is changed."""
    unknown: list[str] = []
    business = _business(settings, unknown)
    ignored, untaken = _landing(settings, unknown)
    servers = supervisor.status(settings)
    topic, disk = _topic(settings, unknown), _disk(settings)
    return InstallationStatus(settings.home, moment, servers, unknown, business, ignored, untaken, topic, disk)


def _business(settings: Settings, unknown: list[str]) -> Business:
    if not postgres_server.answers(settings):
        unknown.append(NO_POSTGRES)
        return Business()
    overview = None
    try:
        overview = dagster_overview(settings)
    except (RefusalError, psycopg.Error) as error:
        unknown.append(f"runs are not known: {_sentence(error)}")
    try:
        with connect(settings, "builder") as connection:
            return Business(
                overview,
                held_store.held(connection).to_dicts(),
                held_store.held_months(connection),
                held_invoice_store.held_invoices(connection),
                operations_store.quarantined(connection),
                operations_store.rejected(connection),
                inbox_store.waiting(connection),
                operations_store.jobs(connection),
                _undone(settings, connection, unknown),
            )
    except (RefusalError, psycopg.Error) as error:
        unknown.append(f"the warehouse does not open: {_sentence(error)}; `valueverse up` makes it")
        return Business(overview)


def _undone(settings: Settings, connection: psycopg.Connection[Any], unknown: list[str]) -> list[dict[str, Any]]:
    try:
        return forgotten(settings, connection)
    except RefusalError as error:
        unknown.append(f"whether erasures have come undone is not known: {_sentence(error)}")
        return []


def _sentence(error: Exception) -> str:
    return " ".join((error.message if isinstance(error, RefusalError) else str(error)).split())


def _landing(settings: Settings, unknown: list[str]) -> tuple[list[dict[str, str]], list[str]]:
    try:
        lake = Lake(settings.lake_url)
        ignored = [asdict(one) for one in files_without_events(settings.landing, lake)]
        taken = set(taken_files(lake)["file"])
        return ignored, [name for name in files_to_take(settings.landing) if name not in taken]
    except RefusalError as refusal:
        unknown.append(refusal.message)
        return [], []


def _topic(settings: Settings, unknown: list[str]) -> list[dict[str, Any]]:
    try:
        lags = topic_lags(settings)
    except RefusalError as refusal:
        unknown.append(refusal.message)
        return []
    shown = ("partition", "next_offset", "end", "waiting", "problem")
    return [{name: getattr(one, name) for name in shown} for one in lags if one.waiting or one.problem]


def _disk(settings: Settings) -> list[dict[str, Any]]:
    """The disks that hold the home, the landing folder and a local lake: each once."""
    places = {"home": settings.home, "landing": settings.landing}
    if "://" not in settings.lake_url:
        places["lake"] = Path(settings.lake_url)
    found: dict[int, dict[str, Any]] = {}
    for name, folder in places.items():
        place = folder
        while not place.exists():
            place = place.parent
        device = place.stat().st_dev
        usage = shutil.disk_usage(place)
        one = found.setdefault(device, {"place": str(place), "holds": [], "free": usage.free, "total": usage.total})
        one["holds"].append(name)
    return list(found.values())
