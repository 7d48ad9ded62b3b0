"""New wrapping keys and new data keys."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from valueverse.platform.protection import DataKeys, wrapping_of
from valueverse.platform.protection.data_keys import context_of
from valueverse.platform.stores import data_key_store as store
from valueverse.platform.stores import instrument_store
from valueverse.platform.warehouse import connect
from valueverse.services.privacy.payment_instruments import instrument_cell

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

_AT_ONCE = 500
"""Keys of one transaction, and of one request to the server that wraps."""


@dataclass(frozen=True)
class RewrappedKeys:
    """What a rotation did.

    Attributes:
        keys: tenant -> data keys that the new wrapping key wraps.
        unreadable: (tenant, subject, version) of data keys that did not unwrap; they stay as they are.
        retired: whether the wrapping keys before are destroyed; never while a data key is unreadable.
    """

    keys: dict[str, int]
    unreadable: list[tuple[str, str, int]]
    retired: bool


def rotate_wrapping_key(settings: Settings, *, retire: bool) -> RewrappedKeys:
    """Make a new wrapping key and wrap every data key by it. No sealed value changes. Stopped anywhere, it is repeated.

    Args:
        settings: of the installation.
        retire: destroy the wrapping keys before, so that data keys in backups of the database are unreadable.

    Raises:
        RefusalError: ``key_server_unreachable``, ``key_server_refused``, ``secret_unreadable``.
    """
    wrapping = wrapping_of(settings)
    done: Counter[str] = Counter()
    unreadable: list[tuple[str, str, int]] = []
    after = ("", "", 0)
    with connect(settings, "builder") as connection:
        # Wrapped once before it is rotated: the first use makes it.
        wrapping.wrap(context_of("", "", 0), bytes(32))
        wrapping.current.rotate()
        while rows := store.live(connection, after, _AT_ONCE):
            places = [(row["tenant"], row["subject"], row["version"]) for row in rows]
            texts = wrapping.rewrap(
                [(context_of(*place), row["wrapped"]) for place, row in zip(places, rows, strict=True)]
            )
            pairs = list(zip(places, texts, strict=True))
            store.wrap_again(connection, [(*place, text) for place, text in pairs if text is not None])
            connection.commit()
            done.update(place[0] for place, text in pairs if text is not None)
            unreadable += [place for place, text in pairs if text is None]
            after = places[-1]
    if retire and not unreadable:
        wrapping.current.retire()
    return RewrappedKeys(dict(done), unreadable, retire and not unreadable)


def rotate_data_keys(settings: Settings, tenant: str) -> list[str]:
    """Make a new data key for the tenant and each of its data subjects that has one; the subjects, by name.

    Numbers of payment instruments are sealed by them at once; who was billed, retained after an erasure, opens by the
    keys before.

    Raises:
        RefusalError: ``key_server_unreachable``, ``key_server_refused``, ``secret_unreadable``.
    """
    wrapping = wrapping_of(settings)
    with connect(settings, "builder") as connection:
        keys, subjects = DataKeys(connection, wrapping), store.subjects(connection, tenant)
        for subject in subjects:
            keys.replace(tenant, subject)
        rows = instrument_store.sealed_of(connection, tenant)
        cells = [instrument_cell(tenant, row["customer"], row["token"]) for row in rows]
        numbers = keys.open([(cell, bytes(row["sealed"])) for cell, row in zip(cells, rows, strict=True)])
        known = [(cell, number) for cell, number in zip(cells, numbers, strict=True) if number is not None]
        sealed = keys.seal(known)
        instrument_store.seal_again(
            connection, tenant, [(cell.row[0], value) for (cell, _), value in zip(known, sealed, strict=True)]
        )
    return subjects
