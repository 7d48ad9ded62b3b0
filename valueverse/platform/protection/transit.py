"""Wrapping by the transit engine of a server with Vault's API (OpenBao, HashiCorp Vault).

The key of the engine is derived: the context is part of every encryption. It is made at the first use when the token
may do so. The token is in the file ``vault_token`` of the folder of secrets.
"""

from __future__ import annotations

import base64
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar

import hvac
import requests
from hvac.exceptions import InvalidRequest, VaultError

from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

Result = TypeVar("Result")
_SECONDS = 10
_UNREADABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError)
"""What comes of reading an answer that is not the engine's; the library parses JSON by the standard library."""


class TransitWrapper:
    """A key of a transit engine; see ``wrapping.Wrapper`` for its methods."""

    name = "vault"

    def __init__(self, url: str, mount: str, key: str, token: Path) -> None:
        self._url, self._mount, self._key, self._token = url, mount, key, token

    def wrap(self, keys: Sequence[tuple[str, bytes]]) -> list[str]:
        """See ``Wrapper``."""
        items = [{"context": _base64(context.encode()), "plaintext": _base64(key)} for context, key in keys]
        return self._asked(lambda: [str(one["ciphertext"]) for one in self._batch("encrypt", items)])

    def unwrap(self, wrapped: Sequence[tuple[str, str]]) -> list[bytes | None]:
        """See ``Wrapper``."""
        return self._asked(
            lambda: [
                None if one is None else base64.b64decode(one["plaintext"]) for one in self._each("decrypt", wrapped)
            ]
        )

    def rewrap(self, wrapped: Sequence[tuple[str, str]]) -> list[str | None]:
        """See ``Wrapper``."""
        return self._asked(
            lambda: [None if one is None else str(one["ciphertext"]) for one in self._each("rewrap", wrapped)]
        )

    def rotate(self) -> None:
        """See ``Wrapper``."""
        self._asked(lambda: self._transit.rotate_key(self._key, mount_point=self._mount))

    def retire(self) -> None:
        """See ``Wrapper``."""
        newest = self._asked(
            lambda: int(self._transit.read_key(self._key, mount_point=self._mount)["data"]["latest_version"])
        )
        # One after the other: the server judges each bound by the one that holds.
        for bound in ("min_decryption_version", "min_encryption_version"):
            self._asked(
                partial(self._transit.update_key_configuration, self._key, mount_point=self._mount, **{bound: newest})
            )
        self._asked(lambda: self._transit.trim_key(self._key, min_version=newest, mount_point=self._mount))

    @cached_property
    def _client(self) -> hvac.Client:
        try:
            token = self._token.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise RefusalError(
                "secret_unreadable",
                f"{self._token}: {error.strerror}; put the token for {self._url} there",
                "VALUEVERSE_SECRETS_DIR",
            ) from error
        return hvac.Client(url=self._url, token=token, timeout=_SECONDS)

    @property
    def _transit(self) -> Any:
        return self._client.secrets.transit

    def _each(self, verb: str, wrapped: Sequence[tuple[str, str]]) -> list[dict[str, Any] | None]:
        """One answer per wrapped key; None: the server refuses it. It may refuse all that came with it then."""
        items = [{"context": _base64(context.encode()), "ciphertext": text} for context, text in wrapped]
        try:
            return [None if one.get("error") else one for one in self._batch(verb, items)]
        except _RefusedBatchError:
            if len(items) == 1:
                return [None]
            middle = len(items) // 2
            return self._each(verb, wrapped[:middle]) + self._each(verb, wrapped[middle:])

    def _batch(self, verb: str, items: list[dict[str, str]]) -> list[dict[str, Any]]:
        address = f"{self._mount}/{verb}/{self._key}"
        found: list[dict[str, Any]] = self._asked(
            lambda: self._client.write_data(address, data={"batch_input": items})["data"]["batch_results"]
        )
        return found

    def _asked(self, call: Callable[[], Result]) -> Result:
        """What ``call`` gives, which asks the server and reads its answer.

        Raises:
            RefusalError: ``key_server_refused``, ``key_server_unreachable``.
        """
        try:
            return call()
        except InvalidRequest:
            # What the server answers to a batch has the keys that it did unwrap: no part of it goes into a message.
            raise _RefusedBatchError(self._url, f"{self._mount}/{self._key}") from None
        except VaultError as error:
            reasons = ", ".join(map(str, error.errors or ["no reason given"]))
            raise RefusalError(
                "key_server_refused",
                f"{self._url} refuses: {reasons}; the token in {self._token} "
                f"needs encrypt, decrypt and rewrap of {self._mount}/{self._key}",
                "VALUEVERSE_VAULT_URL",
            ) from error
        except requests.RequestException as error:
            raise RefusalError(
                "key_server_unreachable", f"{self._url} does not answer: {error}", "VALUEVERSE_VAULT_URL"
            ) from error
        except _UNREADABLE:
            # No part of the answer goes into a message, as above.
            raise RefusalError(
                "key_server_refused",
                f"{self._url} answers otherwise than a transit engine: is it the address of OpenBao or Vault?",
                "VALUEVERSE_VAULT_URL",
            ) from None


class _RefusedBatchError(RefusalError):
    """The server takes nothing of what it was given."""

    def __init__(self, url: str, key: str) -> None:
        super().__init__(
            "key_server_refused",
            f"{url} refuses what it was given for {key}: is it a derived key of type aes256-gcm96?",
            "VALUEVERSE_VAULT_URL",
        )


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
