"""Whether the logs in the database agree with themselves and with the checkpoints that were signed."""

from __future__ import annotations

import base64
import dataclasses
import json
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from valueverse.audit import Bundle, Finding, unsigned_entries, verify_bundle
from valueverse.errors import RefusalError
from valueverse.platform.access.secrets import audit_key
from valueverse.platform.stores import audit_store as store
from valueverse.platform.warehouse import connect
from valueverse.services.audit.checkpoints import notes, origin, public_key
from valueverse.services.audit.record_export import record_export

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from valueverse.platform.settings import Settings

FORMAT = "valueverse.audit/v1"
_MISSING: dict[str, Any] = {"entry": "", "chain_hash": b""}
"""Stands in the place of an entry that is not there: it is no entry, and no chain leads over it."""


def tenants_with_log(settings: Settings) -> list[str]:
    """Tenants that have entries, or checkpoints of entries that are gone."""
    with connect(settings, "builder") as connection:
        found = set(store.tenants(connection))
    return sorted(found | {path.stem for path in settings.audit_dir.glob("*.checkpoints")})


def read_log(settings: Settings, tenant: str) -> Bundle:
    """A tenant's log, whole, with its checkpoints.

    Raises:
        RefusalError: ``no_audit_log``, ``audit_folder_unusable``.
    """
    bundle = next(_entries_of(settings, [tenant]))
    bundle = dataclasses.replace(bundle, checkpoints=notes(settings, tenant))
    if not (bundle.entries or bundle.checkpoints or bundle.stored):
        raise RefusalError.unknown(
            "no_audit_log", f"no audit log of a tenant {tenant!r}", tenant, tenants_with_log(settings), "--tenant"
        )
    return bundle


def verify_log(settings: Settings, tenant: str, known: Path | None = None) -> tuple[Bundle, list[Finding], int]:
    """A tenant's log, what does not hold in it, and how many of its entries no checkpoint covers yet.

    Args:
        settings: of the installation.
        tenant: whose log.
        known: a signed note that was received before: the log must contain what it covers.

    Raises:
        RefusalError: ``no_audit_log``, ``audit_folder_unusable``, ``unreadable_file``.
    """
    bundle, key = read_log(settings, tenant), audit_key(settings.secrets_dir).public_key()
    return bundle, [*verify_bundle(bundle, key), *_against(bundle, known, key)], unsigned_entries(bundle, key)


def verified_logs(settings: Settings, tenants: Collection[str]) -> Iterator[tuple[Bundle, list[Finding]]]:
    """The logs of these tenants, one at a time, and what does not hold in each.

    Checkpoints that cannot be read are a finding of their tenant: the other logs are verified and signed.
    """
    key = audit_key(settings.secrets_dir).public_key()
    for bundle in _entries_of(settings, sorted(tenants)):
        try:
            whole = dataclasses.replace(bundle, checkpoints=notes(settings, bundle.tenant))
        except RefusalError as refusal:
            yield bundle, [Finding("checkpoint", 0, refusal.message)]
        else:
            yield whole, verify_bundle(whole, key)


def _entries_of(settings: Settings, tenants: Sequence[str]) -> Iterator[Bundle]:
    """A log without its checkpoints for each of these tenants, also of those that have no entry (any more)."""
    with connect(settings, "builder") as connection:
        store.read_as_of_now(connection)
        logs = _of_each(tenants, store.logs_of(connection, tenants))
        trees = _of_each(tenants, store.trees_of(connection, tenants))
        notes = _of_each(tenants, store.checkpoints_of(connection, tenants))
        for tenant, log, tree, stored in zip(tenants, logs, trees, notes, strict=True):
            yield _bundle(tenant, log, tree, [row["note"] for row in stored])


def _of_each(
    tenants: Sequence[str], found: Iterator[tuple[str, list[dict[str, Any]]]]
) -> Iterator[list[dict[str, Any]]]:
    """The rows of each of these tenants, of which some have none; both in the same order."""
    tenant, rows = next(found, ("", []))
    for wanted in tenants:
        if wanted != tenant:
            yield []
        else:
            yield rows
            tenant, rows = next(found, ("", []))


def _bundle(
    tenant: str, rows: Sequence[dict[str, Any]], tree: Sequence[dict[str, Any]], stored: Sequence[str]
) -> Bundle:
    nodes = [((row["level"], row["place"]), bytes(row["hash"])) for row in tree]
    known = {row["sequence"]: row for row in rows}
    places = [known.get(sequence, _MISSING) for sequence in range(1, max(known, default=0) + 1)]
    entries = [str(row["entry"]).encode() for row in places]
    return Bundle(tenant, origin(tenant), entries, [bytes(row["chain_hash"]) for row in places], [], nodes, stored)


def exported(settings: Settings, tenant: str) -> dict[str, Any]:
    """The log, as far as it is signed, as a document that ``verify_document`` takes anywhere, without a database.

    Raises:
        RefusalError: ``no_audit_log``; ``not_signed`` before the first checkpoint.
    """
    bundle = read_log(settings, tenant)
    signed = len(bundle.entries) - unsigned_entries(bundle, audit_key(settings.secrets_dir).public_key())
    if not bundle.checkpoints:
        raise RefusalError(
            "not_signed", f"no checkpoint of {tenant!r} is signed yet: run `valueverse audit sign`", "--tenant"
        )
    return {
        "schema": FORMAT,
        "tenant": tenant,
        "origin": bundle.origin,
        "entries": [entry.decode() for entry in bundle.entries[:signed]],
        "chain": [base64.b64encode(one).decode() for one in bundle.chain[:signed]],
        "checkpoints": list(bundle.checkpoints),
        "public_key": public_key(settings),
    }


def export_log(settings: Settings, tenant: str) -> str:
    """The text of ``exported``, as a file that is handed out: the log gets an entry, which this file has not yet.

    Raises:
        RefusalError: as ``exported``.
    """
    text = json.dumps(exported(settings, tenant), ensure_ascii=False, indent=1) + "\n"
    record_export(settings, [tenant], "audit_log.exported", origin(tenant), text.encode())
    return text


def verify_document(path: Path, key: Path | None, known: Path | None = None) -> tuple[Bundle, list[Finding]]:
    """An exported log and what does not hold in it; entries that no checkpoint covers are findings.

    Args:
        path: the export.
        key: the public key (PEM) that was received apart from it; None: the one inside, which whoever wrote the
            export chose.
        known: a signed note that was received before: the log must contain what it covers. Without one, an export
            that ends at an older checkpoint looks whole.

    Raises:
        RefusalError: ``unreadable_file``, ``bad_audit_export``, ``bad_public_key``.
    """
    text = _text(path)
    try:
        document = json.loads(text)
        bundle = Bundle(
            tenant=str(document["tenant"]),
            origin=str(document["origin"]),
            entries=[str(entry).encode() for entry in document["entries"]],
            chain=[base64.b64decode(one, validate=True) for one in document["chain"]],
            checkpoints=[str(note) for note in document["checkpoints"]],
        )
        pem = _text(key) if key else str(document["public_key"])
        schema = document["schema"]
    except (ValueError, TypeError, KeyError) as error:
        raise RefusalError("bad_audit_export", f"{path} is no export of `valueverse audit export`: {error}") from error
    if schema != FORMAT:
        raise RefusalError("bad_audit_export", f"{path} has the schema {schema!r}; this program knows {FORMAT!r}")
    public = read_public_key(pem, str(key or path))
    findings = verify_bundle(bundle, public)
    if (unsigned := unsigned_entries(bundle, public)) or not bundle.checkpoints:
        first = len(bundle.entries) - unsigned + 1
        findings.append(Finding("checkpoint", first, "no signed checkpoint covers the log from here on"))
    return bundle, [*findings, *_against(bundle, known, public)]


def _against(bundle: Bundle, known: Path | None, key: Ed25519PublicKey) -> list[Finding]:
    """What of a signed note that somebody holds the log does not contain."""
    if known is None:
        return []
    before = dataclasses.replace(bundle, checkpoints=[_text(known).rstrip("\n") + "\n"], stored=())
    return [one for one in verify_bundle(before, key) if one.layer == "checkpoint"]


def read_public_key(pem: str, place: str) -> Ed25519PublicKey:
    """The key that verifies checkpoints and receipts, from PEM that was found at ``place``.

    Raises:
        RefusalError: ``bad_public_key``.
    """
    try:
        key = serialization.load_pem_public_key(pem.encode())
    except ValueError as error:
        raise RefusalError("bad_public_key", f"{place} holds no public key in PEM") from error
    if not isinstance(key, Ed25519PublicKey):
        raise RefusalError("bad_public_key", f"{place} holds a public key that is not Ed25519")
    return key


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RefusalError("unreadable_file", f"{path}: {error}") from error
