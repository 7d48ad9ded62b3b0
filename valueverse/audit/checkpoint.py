"""Signed checkpoints in the C2SP forms ``tlog-checkpoint`` and ``signed-note``, with Ed25519.

A checkpoint states the size and the root of a tenant's log. Whoever keeps it outside of the database can show later
that entries were removed or rewritten.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_ED25519 = b"\x01"
_BODY = re.compile(r"(?P<origin>[^\n+ ]+)\n(?P<size>0|[1-9][0-9]{0,18})\n(?P<root>[A-Za-z0-9+/]{43}=)\n")
_SIGNATURE = re.compile(r"— (?P<name>[^\n+ ]+) (?P<signature>[A-Za-z0-9+/]+={0,2})\n")


@dataclass(frozen=True)
class Checkpoint:
    """Size and root of a log.

    Attributes:
        origin: whose log: ``<installation>/audit/<tenant>``.
        size: number of entries.
        root: 32 bytes.
    """

    origin: str
    size: int
    root: bytes

    def body(self) -> str:
        """The text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def sign_checkpoint(checkpoint: Checkpoint, key: Ed25519PrivateKey) -> str:
    """The signed note: body, empty line, one signature line under the origin's name."""
    body = checkpoint.body()
    signature = _key_id(checkpoint.origin, key.public_key()) + key.sign(body.encode())
    return f"{body}\n— {checkpoint.origin} {base64.b64encode(signature).decode()}\n"


def read_checkpoint(note: str, key: Ed25519PublicKey, origin: str) -> Checkpoint:
    """The checkpoint of a note that ``key`` signed for ``origin``.

    Raises:
        ValueError: the note is none, is another log's, or no signature of the key holds.
    """
    body, empty, signatures = note.partition("\n\n")
    found = _BODY.fullmatch(body + "\n")
    if not empty or found is None:
        raise ValueError("this is no checkpoint")
    checkpoint = Checkpoint(found["origin"], int(found["size"]), base64.b64decode(found["root"]))
    if checkpoint.origin != origin:
        raise ValueError(f"this checkpoint is of {checkpoint.origin!r}, not of {origin!r}")
    lines = [_SIGNATURE.fullmatch(line + "\n") for line in signatures.removesuffix("\n").split("\n")]
    mine = [line["signature"] for line in lines if line is not None and line["name"] == origin]
    if None in lines or not any(_holds(one, checkpoint, key) for one in mine):
        raise ValueError("no signature of the key holds for this checkpoint")
    return checkpoint


def signature_of(note: str) -> str:
    """The first signature line's base64 text."""
    return note.rstrip("\n").rpartition(" ")[2]


def _holds(signature: str, checkpoint: Checkpoint, key: Ed25519PublicKey) -> bool:
    try:
        raw = base64.b64decode(signature, validate=True)
        if raw[:4] != _key_id(checkpoint.origin, key):
            return False
        key.verify(raw[4:], checkpoint.body().encode())
    except (InvalidSignature, binascii.Error):
        return False
    return True


def _key_id(name: str, key: Ed25519PublicKey) -> bytes:
    raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + raw).digest()[:4]
