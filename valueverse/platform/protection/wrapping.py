"""What encrypts data keys: a server with Vault's API where one is set, else a key in the folder of secrets.

A wrapped key is a text that begins with the name of what wrapped it (``vault:`` or ``local:``) and the version of the
wrapping key. Each is bound to a context (tenant, subject and version of the data key): moved to another row it does
not unwrap.
"""

from __future__ import annotations

import base64
import os
import re
from typing import TYPE_CHECKING, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from valueverse.platform.access.secrets import secret

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from valueverse.platform.settings import Settings


class Wrapper(Protocol):
    """One kind of wrapping key. Contexts are texts; None stands for what cannot be unwrapped."""

    name: str

    def wrap(self, keys: Sequence[tuple[str, bytes]]) -> list[str]:
        """Data keys, each with its context, wrapped by the newest version."""
        ...

    def unwrap(self, wrapped: Sequence[tuple[str, str]]) -> list[bytes | None]:
        """Data keys from wrapped ones, each with its context."""
        ...

    def rewrap(self, wrapped: Sequence[tuple[str, str]]) -> list[str | None]:
        """Wrapped keys, each with its context, wrapped by the newest version."""
        ...

    def rotate(self) -> None:
        """Make a new version, which wraps from now on."""
        ...

    def retire(self) -> None:
        """Destroy every version but the newest: what they wrapped, in backups too, is gone."""
        ...


class LocalWrapper:
    """Wrapping keys in files ``wrapping_key_1``, ``wrapping_key_2`` ... of the folder of secrets; the last wraps."""

    name = "local"
    _FILE = re.compile(r"wrapping_key_([1-9][0-9]{0,8})\Z")
    _WRAPPED = re.compile(r"local:v([1-9][0-9]{0,8}):([A-Za-z0-9+/=]+)\Z")

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def wrap(self, keys: Sequence[tuple[str, bytes]]) -> list[str]:
        """See ``Wrapper``."""
        newest = max(self._versions(), default=1)
        cipher = self._cipher(newest)
        return [f"local:v{newest}:{_base64(_sealed(cipher, context, key))}" for context, key in keys]

    def unwrap(self, wrapped: Sequence[tuple[str, str]]) -> list[bytes | None]:
        """See ``Wrapper``."""
        return [self._unwrapped(context, text) for context, text in wrapped]

    def rewrap(self, wrapped: Sequence[tuple[str, str]]) -> list[str | None]:
        """See ``Wrapper``."""
        return rewrapped(self, self, wrapped)

    def rotate(self) -> None:
        """See ``Wrapper``."""
        self._cipher(max(self._versions(), default=0) + 1)

    def retire(self) -> None:
        """See ``Wrapper``."""
        for version in sorted(self._versions())[:-1]:
            (self._folder / f"wrapping_key_{version}").unlink(missing_ok=True)

    def _versions(self) -> list[int]:
        names = (self._FILE.match(path.name) for path in self._folder.glob("wrapping_key_*"))
        return [int(name[1]) for name in names if name]

    def _cipher(self, version: int) -> AESGCM:
        text = secret(self._folder, f"wrapping_key_{version}", lambda: _base64(os.urandom(32)))
        return AESGCM(base64.b64decode(text))

    def _unwrapped(self, context: str, text: str) -> bytes | None:
        found = self._WRAPPED.match(text)
        if not found or int(found[1]) not in self._versions():
            return None
        try:
            raw = base64.b64decode(found[2])
            return self._cipher(int(found[1])).decrypt(raw[:12], raw[12:], context.encode())
        except (InvalidTag, ValueError):
            return None


class Wrapping:
    """The wrapper that wraps, and those that wrapped before it: keys move to it when they are wrapped again."""

    def __init__(self, current: Wrapper, *others: Wrapper) -> None:
        self.current = current
        self._by_name: dict[str, Wrapper] = {one.name: one for one in (*others, current)}

    def wrap(self, context: str, key: bytes) -> str:
        """One data key, wrapped."""
        return self.current.wrap([(context, key)])[0]

    def unwrap(self, wrapped: Sequence[tuple[str, str]]) -> list[bytes | None]:
        """Data keys from wrapped ones, each with its context; None: damaged, moved, or its wrapping key is gone."""
        found: list[bytes | None] = [None] * len(wrapped)
        for wrapper, places in self._places(wrapped):
            keys = wrapper.unwrap([wrapped[place] for place in places])
            for place, key in zip(places, keys, strict=True):
                found[place] = key
        return found

    def rewrap(self, wrapped: Sequence[tuple[str, str]]) -> list[str | None]:
        """Wrapped keys, each with its context, by the newest version of what wraps now; None as for ``unwrap``."""
        found: list[str | None] = [None] * len(wrapped)
        for wrapper, places in self._places(wrapped):
            given = [wrapped[place] for place in places]
            texts = self.current.rewrap(given) if wrapper is self.current else rewrapped(wrapper, self.current, given)
            for place, text in zip(places, texts, strict=True):
                found[place] = text
        return found

    def _places(self, wrapped: Sequence[tuple[str, str]]) -> list[tuple[Wrapper, list[int]]]:
        """Which of ``wrapped`` are whose."""
        names = [text.partition(":")[0] for _, text in wrapped]
        return [
            (wrapper, places)
            for name, wrapper in self._by_name.items()
            if (places := [place for place, one in enumerate(names) if one == name])
        ]


def rewrapped(before: Wrapper, after: Wrapper, wrapped: Sequence[tuple[str, str]]) -> list[str | None]:
    """Keys that ``before`` unwraps, wrapped by ``after``."""
    keys = before.unwrap(wrapped)
    texts = iter(
        after.wrap([(context, key) for (context, _), key in zip(wrapped, keys, strict=True) if key is not None])
    )
    return [None if key is None else next(texts) for key in keys]


def wrapping_of(settings: Settings) -> Wrapping:
    """What wraps data keys of this installation."""
    local = LocalWrapper(settings.secrets_dir)
    if settings.vault_url is None:
        return Wrapping(local)
    from valueverse.platform.protection.transit import TransitWrapper  # its client takes long to import

    transit = TransitWrapper(
        settings.vault_url, settings.vault_mount, settings.vault_key, settings.secrets_dir / "vault_token"
    )
    return Wrapping(transit, local)


def _sealed(cipher: AESGCM, context: str, key: bytes) -> bytes:
    nonce = os.urandom(12)
    return nonce + cipher.encrypt(nonce, key, context.encode())


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
