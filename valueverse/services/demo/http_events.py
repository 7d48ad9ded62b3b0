"""Events that the demonstration sends over HTTP, their receipt, and the proof that the audit log holds it."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from valueverse.audit import leaf_hash, read_checkpoint, root_hash, verify_inclusion
from valueverse.errors import RefusalError
from valueverse.services.audit.sign_log import sign_log
from valueverse.services.audit.verify_log import read_public_key
from valueverse_client import Asked, Client, ProblemError, Retries

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from valueverse.audit import Checkpoint
    from valueverse.platform.settings import Settings
_RETRIES = Retries(attempts=2)
"""The API runs on this machine, and has answered already."""


@dataclass(frozen=True)
class ProvenReceipt:
    """A receipt whose signature, root and place in the audit log were verified.

    Attributes:
        tenant: who sent the events.
        events: how many.
        sequence: the place of the receipt's entry in the tenant's log, from 1.
        size: entries that the signed checkpoint covers.
        path: the receipt, as the API answered it.
    """

    tenant: str
    events: int
    sequence: int
    size: int
    path: Path


def receipt_path(settings: Settings) -> Path:
    """Where the receipt of the demonstration lies."""
    return settings.home / "reports" / "demo-receipt.json"


def send_events(settings: Settings, address: str, key: str, lines: Sequence[bytes]) -> None:
    """Send events (a CloudEvent each) in one request and put its receipt beside the reports; once per installation.

    Raises:
        RefusalError: ``not_received``: the API does not answer, or does not take all of them.
    """
    path = receipt_path(settings)
    if path.is_file():
        return
    # As the lines are: the receipt is of their bytes.
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/x-ndjson"}
    with _client(address, key) as client:
        request = Asked("POST", "/v1/events", headers=headers, content=b"\n".join(lines))
        answer = client.send(request).json()
    if answer["counts"].get("accepted", 0) != len(lines):
        raise RefusalError("not_received", f"of {len(lines)} events the API took: {answer['counts']}", address)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(answer), encoding="utf-8")


def prove_receipt(settings: Settings, address: str, key: str, tenant: str, lines: Sequence[bytes]) -> ProvenReceipt:
    """Sign the audit log, ask for the receipt's entry and its proof, and verify all of it as a customer would: from
    the events that were sent, the receipt, the proof and the public key alone.

    Raises:
        RefusalError: ``not_received``; ``not_proven``: something does not hold.
    """
    sign_log(settings, whole=True)
    receipt = json.loads(receipt_path(settings).read_text(encoding="utf-8"))
    with _client(address, key) as client:
        checkpoint = client.get_audit_checkpoint()
        (entry,) = client.iterate_audit_entries(object=receipt["batch"])
        proof = client.get_audit_proof_by_sequence(entry["sequence"], size=checkpoint["size"])
    sent, log = _signed(tenant, receipt, checkpoint)
    if wrong := _wrong(sent, log, entry["sequence"], proof, lines):
        raise RefusalError("not_proven", f"it does not hold that {wrong[0]}", str(receipt_path(settings)))
    return ProvenReceipt(tenant, sent.size, entry["sequence"], log.size, receipt_path(settings))


def _signed(tenant: str, receipt: Mapping[str, Any], checkpoint: Mapping[str, Any]) -> tuple[Checkpoint, Checkpoint]:
    """The tree of the events and the log's, whose signatures hold.

    Raises:
        RefusalError: ``not_proven``.
    """
    public = read_public_key(checkpoint["public_key"], "the answer of /v1/audit/checkpoint")
    try:
        sent = read_checkpoint(receipt["receipt"], public, f"valueverse/events/{tenant}/{receipt['batch']}")
        return sent, read_checkpoint(checkpoint["note"], public, f"valueverse/audit/{tenant}")
    except ValueError as error:
        raise RefusalError("not_proven", f"a signature does not hold: {error}", receipt["batch"]) from error


def _wrong(
    sent: Checkpoint, log: Checkpoint, sequence: int, proof: Mapping[str, Any], lines: Sequence[bytes]
) -> list[str]:
    """What does not hold of the events that were sent, their receipt, the log's entry and its place in the log."""
    root = root_hash([leaf_hash(line) for line in lines])
    entry: str = proof["entry"]
    hashes = [bytes.fromhex(one) for one in proof["proof"]]
    held = {
        "the receipt is of these events": (sent.size, sent.root) == (len(lines), root),
        "the log's entry is of this receipt": json.loads(entry)["digest"] == root.hex(),
        "the entry is in the log that was signed": verify_inclusion(
            log.root, log.size, sequence - 1, leaf_hash(entry.encode()), hashes
        ),
    }
    return [what for what, holds in held.items() if not holds]


@contextmanager
def _client(address: str, key: str) -> Iterator[Client]:
    """The public client; what it meets is a refusal.

    Raises:
        RefusalError: ``not_received``.
    """
    try:
        with Client(key, address, retries=_RETRIES) as client:
            yield client
    except (ProblemError, httpx.TransportError) as error:
        raise RefusalError("not_received", f"the API does not answer: {error}", address) from error
