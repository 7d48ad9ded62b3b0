"""RSA keys that sign access tokens: files only their owner reads, rotated with an overlap.

A key's file is named by the second it was made. The newest key signs; the one before it verifies for
``OVERLAP`` longer,
which is many lives of an access token, and is then deleted.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from valueverse.errors import RefusalError
from valueverse.platform.servers.processes import locked

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OVERLAP = 3600
"""Seconds that a superseded key goes on verifying."""

LIFETIME = 90 * 86_400
"""Seconds after which a key is superseded without anybody asking."""

_RELOAD = 30
"""Seconds between looks at the folder, so that a rotation elsewhere is noticed."""


@dataclass(frozen=True)
class SigningKey:
    """One RSA key pair; ``kid`` is its RFC 7638 thumbprint."""

    kid: str
    created: int
    private: rsa.RSAPrivateKey = field(repr=False)
    public: rsa.RSAPublicKey = field(repr=False)


class KeyRing:
    """The keys of ``folder``, read again now and then; makes the first, and another once it is old."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._clock = clock
        self._keys: dict[str, SigningKey] = {}
        self._looked = 0.0

    @property
    def kids(self) -> frozenset[str]:
        """Identifiers of all keys that verify now."""
        return frozenset(self._fresh())

    def signer(self) -> SigningKey:
        """The key that signs now.

        Raises:
            RefusalError: ``signing_key_exposed``, ``signing_key_unreadable``.
        """
        return max(self._fresh().values(), key=lambda key: key.created)

    def verifier(self, kid: object) -> rsa.RSAPublicKey | None:
        """The public key with this ``kid``; None if it is not ours or too old."""
        if not isinstance(kid, str):
            return None
        found = self._fresh().get(kid)
        if found is None and self._clock() - self._looked >= 1:
            found = self._load().get(kid)
        return found.public if found else None

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The public keys as a JSON Web Key Set."""
        newest_first = sorted(self._fresh().values(), key=lambda key: -key.created)
        return {"keys": [{**_jwk(key.public), "kid": key.kid, "use": "sig", "alg": "RS256"} for key in newest_first]}

    def rotate(self) -> str:
        """Supersede the signing key at once; return the new key's ``kid``."""
        with locked(self._folder / ".lock"):
            newest = max((_created(path) for path in self._folder.glob("*.pem")), default=0)
            _write(self._folder, max(int(self._clock()), newest + 1))
        self._load()
        return self.signer().kid

    def _fresh(self) -> dict[str, SigningKey]:
        if not self._keys or self._clock() - self._looked >= _RELOAD:
            return self._load()
        return self._keys

    def _load(self) -> dict[str, SigningKey]:
        now = self._clock()
        with locked(self._folder / ".lock"):
            self._folder.chmod(0o700)
            created = sorted(_created(path) for path in self._folder.glob("*.pem"))
            if not created or created[-1] + LIFETIME < now:
                created.append(max(int(now), *(one + 1 for one in created)) if created else int(now))
                _write(self._folder, created[-1])
            for one, successor in itertools.pairwise(created):
                if successor + OVERLAP < now:
                    (self._folder / f"{one}.pem").unlink()
            known = {key.created: key for key in self._keys.values()}
            loaded = [known.get(_created(path)) or _read(path) for path in sorted(self._folder.glob("*.pem"))]
        self._keys = {key.kid: key for key in loaded}
        self._looked = now
        return self._keys


def _created(path: Path) -> int:
    try:
        return int(path.stem)
    except ValueError as error:
        raise RefusalError(
            "signing_key_unreadable",
            f"{path} is no key of ours: keys are named by the second they were made",
            str(path),
        ) from error


def _write(folder: Path, created: int) -> None:
    private = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    text = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    draft = folder / f".{created}.{os.getpid()}"
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(text)
    draft.replace(folder / f"{created}.pem")


def _read(path: Path) -> SigningKey:
    if path.stat().st_mode & 0o077:
        raise RefusalError(
            "signing_key_exposed",
            f"{path} can be read by others: chmod 600 it, then rotate with `valueverse tenants rotate`",
        )
    try:
        private = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise RefusalError("signing_key_unreadable", f"{path} holds no readable key: move it away") from error
    if not isinstance(private, rsa.RSAPrivateKey):
        raise RefusalError("signing_key_unreadable", f"{path} holds no RSA key: move it away")
    public = private.public_key()
    return SigningKey(_thumbprint(public), _created(path), private, public)


def _jwk(public: rsa.RSAPublicKey) -> dict[str, str]:
    numbers = public.public_numbers()
    return {"e": _base64url(numbers.e), "kty": "RSA", "n": _base64url(numbers.n)}


def _thumbprint(public: rsa.RSAPublicKey) -> str:
    canonical = json.dumps(_jwk(public), separators=(",", ":"), sort_keys=True)
    return base64.urlsafe_b64encode(hashlib.sha256(canonical.encode()).digest()).rstrip(b"=").decode()


def _base64url(number: int) -> str:
    raw = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
