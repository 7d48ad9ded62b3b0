"""One round of the audit log: order, verify, sign."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from valueverse.services.audit.checkpoints import sign_checkpoints
from valueverse.services.audit.sequence_entries import sequence_entries
from valueverse.services.audit.verify_log import findings_of, tenants_with_log

if TYPE_CHECKING:
    import polars as pl

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

    A log is verified before it is signed: a checkpoint of entries that were rewritten would vouch for them.

    Args:
        settings: of the installation.
        whole: verify every tenant's log; else of those with new entries alone.

    Raises:
        RefusalError: ``audit_folder_unusable``, ``secret_unreadable``.
    """
    entries = sequence_entries(settings)
    tenants = tenants_with_log(settings) if whole else list(entries)
    findings = findings_of(settings, tenants)
    signed = sign_checkpoints(settings, set(tenants) - set(findings["tenant"]))
    return SignedLog(entries, findings, signed)
