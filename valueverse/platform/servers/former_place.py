"""Servers of an installation whose folder was moved or copied while they ran.

They hold the paths of the place where they were started. Records lie in the folder and move with it: each names its
log, and so that place.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from valueverse.errors import RefusalError
from valueverse.platform.servers import postgres_server, processes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from valueverse.platform.settings import Settings


def servers_left(settings: Settings, names: Sequence[str]) -> dict[str, str]:
    """Those of these servers that run, started where the folder lay before; each with a sentence.

    Raises:
        RefusalError: ``copied_while_running``: the folder is a copy of another whose servers run, and a database that
            is copied while it is written is not whole. ``moved_while_running``: PostgreSQL does not work in the
            folder's data, since it was moved to another disk, which copies it.
    """
    for home in processes.living_copies(settings.run):
        raise RefusalError(
            "copied_while_running",
            f"{settings.home} was copied from {home} while servers ran there, and such a copy of a database is not "
            f"whole: stop them there with `valueverse down`, then copy the folder again",
            str(settings.home),
        )
    found = {}
    for name in names:
        if former := left_at(settings, name):
            record = processes.read_record(settings.run, name)
            if name == postgres_server.NAME and record is not None:
                _require_data(settings, record, former)
            found[name] = f"started again here: it ran for {former}, from where this folder was moved"
    return found


def left_at(settings: Settings, name: str) -> Path | None:
    """The former place of the folder, if a server runs that was started there."""
    record = processes.read_record(settings.run, name)
    return processes.former_home(settings.run, record) if record is not None and processes.alive(record) else None


def _require_data(settings: Settings, record: processes.Record, former: Path) -> None:
    if not processes.works_in(record.pid, postgres_server.data_here(settings, record)):
        raise RefusalError(
            "moved_while_running",
            f"{former} was moved to another disk while its servers ran: what they have written since is not here; "
            f"`valueverse down` stops them, then `valueverse up` goes on with the database as it was copied",
            str(settings.home),
        )


def socket_folders(settings: Settings) -> set[Path]:
    """Where the sockets are of the servers that were started, also for another place of the folder."""
    found = processes.read_record(settings.run, postgres_server.NAME)
    return set() if found is None else {Path(found.details["sockets"])}
