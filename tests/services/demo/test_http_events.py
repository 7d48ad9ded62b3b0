"""Events of the demonstration over HTTP: what keeps a receipt from being taken or proven is named."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.support.audit_tree import tree_over
from valueverse.audit import Checkpoint, entry_bytes, inclusion_proof, leaf_hash, root_hash, sign_checkpoint
from valueverse.errors import RefusalError
from valueverse.platform.settings import Settings
from valueverse.services.demo.http_events import _signed, _wrong, receipt_path, send_events

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
LINES = [b'{"id":"1"}', b'{"id":"2"}', b'{"id":"3"}']
SENT = Checkpoint("valueverse/events/acme/b", len(LINES), root_hash([leaf_hash(line) for line in LINES]))


def _entry(digest: str, number: int) -> bytes:
    fields = {"action": "events.received", "actor": "k", "at": f"2026-01-01T00:00:0{number}Z", "request": ""}
    return entry_bytes(fields | {"digest": digest, "object": "b", "tenant": "acme"})


ENTRIES = [_entry("", 1), _entry(SENT.root.hex(), 2), _entry("", 3)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
LOG = Checkpoint("valueverse/audit/acme", len(LEAVES), root_hash(LEAVES))
PROOF = {
    "entry": ENTRIES[1].decode(),
    "proof": [one.hex() for one in inclusion_proof(1, len(LEAVES), tree_over(LEAVES))],
}


def _answers(**changed: Any) -> dict[str, Any]:
    public = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return {"note": sign_checkpoint(LOG, KEY), "public_key": public.decode(), **changed}


def test_a_receipt_whose_entry_is_in_the_signed_log_is_proven() -> None:
    receipt = {"batch": "b", "receipt": sign_checkpoint(SENT, KEY)}
    assert _signed("acme", receipt, _answers()) == (SENT, LOG)
    assert _wrong(SENT, LOG, 2, PROOF, LINES) == []


@pytest.mark.parametrize(
    ("sequence", "proof", "lines", "reason"),
    [
        (2, PROOF, LINES[:2], "the receipt is of these events"),
        (2, PROOF, [LINES[1], LINES[0], LINES[2]], "the receipt is of these events"),
        (2, PROOF | {"entry": ENTRIES[0].decode()}, LINES, "the log's entry is of this receipt"),
        (3, PROOF, LINES, "the entry is in the log that was signed"),
        (2, PROOF | {"proof": PROOF["proof"][:1]}, LINES, "the entry is in the log that was signed"),
    ],
)
def test_what_does_not_hold_of_a_receipt_is_named(
    sequence: int, proof: dict[str, Any], lines: list[bytes], reason: str
) -> None:
    assert reason in _wrong(SENT, LOG, sequence, proof, lines)


def test_a_receipt_that_another_key_signed_is_not_proven() -> None:
    other = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
    with pytest.raises(RefusalError) as refused:
        _signed("acme", {"batch": "b", "receipt": sign_checkpoint(SENT, other)}, _answers())
    assert refused.value.code == "not_proven"


@pytest.fixture
def refusing() -> Iterator[str]:
    """The address of a server that takes two of three events."""

    class Refusing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(202)
            self.end_headers()
            session = {"access_token": "a", "refresh_token": "r", "expires_in": 300}
            receipt = {"counts": {"accepted": 2, "duplicate": 0, "refused": 1}}
            self.wfile.write(json.dumps(session if self.path == "/v1/sessions" else receipt).encode())

        def log_message(self, *_: object) -> None:
            """Nothing on standard error."""

    server = HTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_events_that_the_api_does_not_take_are_named_and_no_receipt_is_written(tmp_path: Path, refusing: str) -> None:
    settings = Settings(home=tmp_path)
    for address, reason in ((refusing, "of 3 events the API took"), ("http://127.0.0.1:9", "the API does not answer")):
        with pytest.raises(RefusalError) as refused:
            send_events(settings, address, "vv_key", LINES)
        assert refused.value.code == "not_received"
        assert reason in refused.value.message
    assert not receipt_path(settings).exists()
