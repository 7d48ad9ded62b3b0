"""Data keys of tenants and of data subjects: made, used, replaced and destroyed in the caller's transaction."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Protocol

from valueverse.errors import RefusalError
from valueverse.platform.protection.envelope import Cell, opened, seal, version_of
from valueverse.platform.protection.wrapping import wrapping_of
from valueverse.platform.stores import data_key_store, own_data_keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import psycopg

    from valueverse.platform.protection.wrapping import Wrapping
    from valueverse.platform.settings import Settings

MOST_USES = 2**32
"""Values sealed by one key. With random nonces of 96 bits the chance that two are equal stays below 2^-32 up to there
(NIST SP 800-38D, section 8.3)."""


class KeyStore(Protocol):
    """Where wrapped keys are: ``data_key_store`` for all, ``own_data_keys`` for the API."""

    def newest_version(self, connection: psycopg.Connection[Any], tenant: str, subject: str) -> int:
        """The newest version that was ever made; 0: none."""

    def take_uses(
        self, connection: psycopg.Connection[Any], tenant: str, subject: str, uses: int, most: int
    ) -> int | None:
        """Count that many values for the newest key and return its version; None: none may seal as many."""

    def add(self, connection: psycopg.Connection[Any], tenant: str, subject: str, version: int, wrapped: str) -> None:
        """Write a new key, unless another transaction was first."""

    def keys(self, connection: psycopg.Connection[Any], wanted: Sequence[tuple[str, str, int]]) -> list[dict[str, Any]]:
        """tenant, subject, version, wrapped (None: destroyed) of these."""


class DataKeys:
    """Seals and opens values of any tenants and subjects; nothing of a key outlives the object.

    Args:
        connection: its transaction has what is made and counted.
        wrapping: of the installation.
        most_uses: of one key.
        store: where the keys are.
    """

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        wrapping: Wrapping,
        most_uses: int = MOST_USES,
        store: KeyStore = data_key_store,
    ) -> None:
        self._connection, self._wrapping, self._most_uses, self._store = connection, wrapping, most_uses, store

    def seal(self, values: Sequence[tuple[Cell, bytes]]) -> list[bytes]:
        """Each value sealed for its cell by the newest key of its tenant and subject, which is made if there is none,
        or if it has sealed as much as it may. The caller commits.

        Raises:
            RefusalError: ``key_server_unreachable``, ``key_server_refused``, ``data_key_unreadable``.
        """
        counts: dict[tuple[str, str], int] = {}
        for cell, _ in values:
            owner = (cell.tenant, cell.subject)
            counts[owner] = counts.get(owner, 0) + 1
        # In one order everywhere, so that two transactions never wait for each other.
        taken = {owner: self._taken(*owner, uses=counts[owner]) for owner in sorted(counts)}
        keys = self._unwrapped([(*owner, version) for owner, version in taken.items()])
        done = []
        for cell, value in values:
            version = taken[cell.tenant, cell.subject]
            done.append(seal(keys[cell.tenant, cell.subject, version], version, cell, value))
        return done

    def open(self, sealed: Sequence[tuple[Cell, bytes]]) -> list[bytes | None]:
        """What each value was before it was sealed; None: the key is destroyed.

        Raises:
            RefusalError: ``sealed_value_damaged``, ``data_key_unreadable``, ``key_server_unreachable``,
                ``key_server_refused``.
        """
        wanted = [(cell.tenant, cell.subject, version_of(cell, value)) for cell, value in sealed]
        keys = self._unwrapped(dict.fromkeys(wanted))
        found = zip(wanted, sealed, strict=True)
        return [opened(keys[key], cell, value) if key in keys else None for key, (cell, value) in found]

    def replace(self, tenant: str, subject: str) -> int:
        """Make a new version, which seals from now on; the ones before it still open what they sealed."""
        version = self._store.newest_version(self._connection, tenant, subject) + 1
        self._make(tenant, subject, version)
        return version

    def _taken(self, tenant: str, subject: str, uses: int) -> int:
        while True:
            version = self._store.take_uses(self._connection, tenant, subject, uses, self._most_uses)
            if version is not None:
                return version
            self._make(tenant, subject, self._store.newest_version(self._connection, tenant, subject) + 1)

    def _make(self, tenant: str, subject: str, version: int) -> None:
        wrapped = self._wrapping.wrap(context_of(tenant, subject, version), os.urandom(32))
        self._store.add(self._connection, tenant, subject, version, wrapped)

    def _unwrapped(self, wanted: Iterable[tuple[str, str, int]]) -> Mapping[tuple[str, str, int], bytes]:
        """The keys of these that are not destroyed.

        Raises:
            RefusalError: ``sealed_value_damaged`` for a version that was never made, ``data_key_unreadable``.
        """
        asked = list(wanted)
        rows = {
            (row["tenant"], row["subject"], row["version"]): row["wrapped"]
            for row in self._store.keys(self._connection, asked)
        }
        if unknown := [one for one in asked if one not in rows]:
            raise RefusalError(
                "sealed_value_damaged",
                f"a sealed value of tenant {unknown[0][0]} names version {unknown[0][2]} of a key, "
                "which was never made",
            )
        present = {key: text for key, text in rows.items() if text is not None}
        found = self._wrapping.unwrap([(context_of(*key), text) for key, text in present.items()])
        keys = dict(zip(present, found, strict=True))
        opened_keys = {key: value for key, value in keys.items() if value is not None}
        if lost := [key for key in keys if key not in opened_keys]:
            raise RefusalError(
                "data_key_unreadable",
                f"data key {lost[0][2]} of tenant {lost[0][0]} does not unwrap: it is damaged, or its wrapping key is "
                "gone; restore the wrapping key (VALUEVERSE_SECRETS_DIR, VALUEVERSE_VAULT_URL)",
            )
        return opened_keys


def own_keys(settings: Settings, connection: psycopg.Connection[Any]) -> DataKeys:
    """Keys of tenants' own values, in a connection of the API's login."""
    return DataKeys(connection, wrapping_of(settings), store=own_data_keys)


def context_of(tenant: str, subject: str, version: int) -> str:
    """What a wrapped key is bound to."""
    return f"{len(tenant)}:{tenant}:{len(subject)}:{subject}:{version}"
