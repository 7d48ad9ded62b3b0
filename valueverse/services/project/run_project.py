"""Running a project: its catalog published once, whatever is due run, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.catalog import catalog_hash, parse_catalog
from valueverse.errors import RefusalError
from valueverse.events import CATALOG_PUBLISHED
from valueverse.platform.lake import Lake
from valueverse.platform.project_file import FILE_NAME
from valueverse.platform.stores.held_invoice_store import held_invoice_sentence, held_invoices
from valueverse.platform.warehouse import connect
from valueverse.services.billing.invoices import invoices_of_runs
from valueverse.services.catalogs.check_catalog import read_catalog_text
from valueverse.services.catalogs.publish_catalog import catalog_file, publish_catalog
from valueverse.services.ingestion.landing_state import ignored_lines
from valueverse.services.instants import read_instant
from valueverse.services.lake_tables import EVENTS_TABLE
from valueverse.services.project.used_events import used_events
from valueverse.services.tenant_holds import held_lines

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings
    from valueverse.services.event_tally import Tally


@dataclass(frozen=True)
class CatalogState:
    """Whether the project's catalog was published now, and a sentence: that it was, or that the file is not used."""

    is_new: bool = False
    sentence: str = ""


@dataclass(frozen=True)
class RunResult:
    """What a run made, and what it did not use.

    Attributes:
        invoices: those that it drafted or finalised, amounts as text in major units.
        events: tenant -> the outcomes of all events received so far.
        ignored: files of the landing folder that are not taken, a sentence each.
        held: tenants and invoices that are held, a sentence each.
    """

    invoices: list[dict[str, Any]]
    events: dict[str, Tally]
    ignored: list[str]
    held: list[str]

    def document(self) -> dict[str, Any]:
        """The result as JSON values."""
        return {
            "invoices": self.invoices,
            "events": {tenant: tally.document() for tenant, tally in self.events.items()},
            "ignored_files": self.ignored,
            "held": self.held,
        }


def require_project(settings: Settings) -> None:
    """Refuse to start an installation in a folder that has none.

    Raises:
        RefusalError: ``no_project``.
    """
    if settings.project_file is None and not settings.home.exists():
        raise RefusalError(
            "no_project",
            f"there is no {FILE_NAME} here or above: `valueverse init DIR` starts a project, run it in that folder",
        )


def publish_project_catalog(settings: Settings) -> CatalogState:
    """Publish the project's catalog unless its tenant has one already: a later price is published from a day on.

    Raises:
        RefusalError: ``no_setting``, what the catalog is refused for, ``bad_time``.
    """
    if settings.catalog is None:
        return CatalogState()
    if settings.tenant is None:
        raise RefusalError("no_setting", f"`catalog` needs `tenant`: whose it is; add it to {settings.project_file}")
    try:
        catalog = parse_catalog(read_catalog_text(settings.catalog, "catalog"))
    except RefusalError as refusal:
        raise refusal.below(str(settings.catalog)) from refusal
    published = _published(settings, settings.tenant)
    name = settings.catalog.name
    if not published:
        if settings.catalog_from is None:
            message = f"say from when on {name} holds: `catalog_from: 2026-01-01` in {settings.project_file}"
            raise RefusalError("no_setting", message, "catalog_from")
        since = read_instant(settings.catalog_from, "UTC", "catalog_from")
        publish_catalog(Lake(settings.lake_url), settings.landing, settings.tenant, catalog, since, new_tenant=True)
        return CatalogState(True, f"{name}, to hold from {settings.catalog_from} on")
    if catalog_hash(catalog) in published or catalog_file(catalog) in published:
        return CatalogState()
    return CatalogState(
        False,
        f"{name} differs from the catalog that is published and is not used: "
        f"`valueverse catalog publish {name} --tenant {settings.tenant} --effective DATE`, then run again",
    )


def _published(settings: Settings, tenant: str) -> set[str]:
    """Hashes of the tenant's catalogs in the lake, and the beginnings of the names of those that wait for ingestion."""
    events = Lake(settings.lake_url).scan(EVENTS_TABLE)
    mine = events.filter(pl.col("tenant") == tenant, pl.col("type") == CATALOG_PUBLISHED, pl.col("data").is_not_null())
    taken = {catalog_hash(parse_catalog(text)) for text in mine.select("data").collect()["data"]}
    waiting = {path.name.rpartition("-")[0] for path in (settings.landing / tenant).glob("catalog-*.ndjson")}
    return taken | waiting


def result_of(settings: Settings, runs: list[str], most: int) -> RunResult:
    """What these runs of Dagster made, and the state of everything that was received."""
    lake = Lake(settings.lake_url)
    with connect(settings, "builder") as connection:
        invoices = invoices_of_runs(connection, runs, most)
        events = used_events(connection, lake)
        held = [held_invoice_sentence(row) for row in held_invoices(connection)]
    invoices.sort(key=lambda one: (one["tenant"], one["number"] or ""))
    return RunResult(invoices, events, ignored_lines(settings.landing, lake), [*held_lines(settings), *held])
