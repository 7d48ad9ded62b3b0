"""One round of the audit log: order, verify, sign."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.audit import Finding, unsigned_entries
from valueverse.errors import RefusalError
from valueverse.platform.access.secrets import audit_key
from valueverse.platform.stores import audit_store as store
from valueverse.platform.warehouse import connect
from valueverse.schemas.operations import AUDIT_FINDINGS
from valueverse.services.audit.checkpoints import sign_checkpoint_of, signing
from valueverse.services.audit.sequence_entries import sequence_entries
from valueverse.services.audit.verify_log import tenants_with_log, verified_logs

if TYPE_CHECKING:
    import psycopg

    from valueverse.audit import Bundle
    from valueverse.platform.settings import Settings


@dataclass(frozen=True)
class SignedLog:
    """What a round did.

    Attributes:
        entries: tenant -> entries that were put in order.
        findings: AUDIT_FINDINGS.
        signed: tenant -> entries that the new checkpoint covers.
    """

    entries: dict[str, int]
    findings: pl.DataFrame
    signed: dict[str, int]


def sign_log(settings: Settings, *, whole: bool) -> SignedLog:
    """Put what was submitted in order, verify, and sign the logs that hold and have grown.

    A log is verified before it is signed: a checkpoint of entries that were rewritten would vouch for them. Checkpoints
    of one tenant that cannot be read or written are findings of that tenant.

    Args:
        settings: of the installation.
        whole: verify every tenant's log; else of those with new entries alone.

    Raises:
        RefusalError: ``audit_folder_unusable`` when nobody's checkpoints can be written, ``secret_unreadable``.
    """
    entries = sequence_entries(settings)
    tenants = tenants_with_log(settings) if whole else list(entries)
    key = audit_key(settings.secrets_dir).public_key()
    rows: list[tuple[str, str, int, str]] = []
    signed: dict[str, int] = {}
    with signing(settings), connect(settings, "builder") as connection:
        for bundle, wrong in verified_logs(settings, tenants):
            grown = not wrong and unsigned_entries(bundle, key) > 0
            found = _sign(settings, connection, bundle) if grown else wrong
            if grown and not found:
                signed[bundle.tenant] = len(bundle.entries)
            rows += [(bundle.tenant, one.layer, one.sequence, one.reason) for one in found]
    return SignedLog(entries, pl.DataFrame(rows, AUDIT_FINDINGS, orient="row"), signed)


def _sign(settings: Settings, connection: psycopg.Connection[Any], bundle: Bundle) -> list[Finding]:
    """Why the checkpoint could not be written: a finding of this tenant alone.

    It is written outside of the database first: one that is in the database is outside of it too, or was removed.
    """
    try:
        new = sign_checkpoint_of(settings, bundle)
    except RefusalError as refusal:
        return [Finding("checkpoint", len(bundle.entries), refusal.message)]
    store.add_checkpoints(connection, bundle.tenant, new)
    connection.commit()
    return []
