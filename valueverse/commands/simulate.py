"""``valueverse simulate``: any catalog against any past, from files alone, by the engine that bills."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from valueverse.errors import RefusalError

if TYPE_CHECKING:
    import polars as pl

    from valueverse.catalog.document import Catalog
    from valueverse.invoicing.engine import Billed

_NOBODY = "tenant"
"""Tenant of events that name none."""


@dataclass(frozen=True)
class _Log:
    """The events of some files, as the lake would hold them: first received wins, refused lines left out."""

    events: pl.DataFrame
    refused: pl.DataFrame
    duplicates: int


def _tell(message: str) -> None:
    sys.stderr.write(f"{message}\n")


def _files(events: list[Path], landing: Path | None) -> list[Any]:
    from valueverse.landing import LandingFile, content_hash, landing_files

    found = [] if landing is None else landing_files(landing)
    for path in events:
        try:
            found.append(LandingFile(_NOBODY, str(path), path, content_hash(path), path.stat().st_size))
        except OSError as error:
            raise RefusalError("unreadable_file", f"{path}: {error.strerror}", "--events") from error
    if not found:
        raise RefusalError("no_events", "give event files with --events FILE..., or a folder with --landing DIR", "--events")
    return found
