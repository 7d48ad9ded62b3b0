"""Passwords: what one must be, and its hash.

Hashes are argon2id with the first parameters of OWASP's Password Storage Cheat Sheet: 19 MiB, 2 passes, 1 lane. Each
holds its own parameters and salt; one that was made by other parameters is still good, and ``needs_rehash``.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import TYPE_CHECKING

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from zxcvbn import zxcvbn

from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from collections.abc import Iterable

SHORTEST, LONGEST = 12, 128
"""Letters. NIST SP 800-63B asks for 8 beside a second factor, and 15 alone; longer ones would only cost time."""
_LEAST_SCORE = 3
"""Of zxcvbn's 0 to 4: at least 10^8 guesses, of lists of leaked passwords, names, dates and keyboard rows combined."""
_JUDGED = 72
"""Letters that zxcvbn looks at: it takes quadratic time."""
_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)


def check_password(password: str, about: Iterable[str] = (), path: str = "password") -> None:
    """Refuse a password that is short, or that is guessed early.

    Args:
        password: as it was typed.
        about: words that say little in a password of this person: address, name, tenant.
        path: where it stands.

    Raises:
        RefusalError: ``weak_password``.
    """
    text = _normal(password)
    if not SHORTEST <= len(text) <= LONGEST:
        raise RefusalError("weak_password", f"a password has {SHORTEST} to {LONGEST} letters", path)
    found = zxcvbn(text[:_JUDGED], user_inputs=[word for one in about for word in (one, *one.split("@"))])
    if found["score"] < _LEAST_SCORE:
        warning = found["feedback"]["warning"].rstrip(".") or "it is made of few well-known words"
        message = f"this password is guessed early: {warning}; take more words that have nothing to do with each other"
        raise RefusalError("weak_password", message, path)


def hash_password(password: str) -> str:
    """Its argon2id hash with a random salt, in the PHC form; takes 19 MiB and some tens of milliseconds."""
    return _HASHER.hash(_normal(password))


def is_password(password: str, hashed: str | None) -> bool:
    """Whether ``hashed`` is of ``password``. Without a hash the same work is done, so that the time shows nothing."""
    try:
        return _HASHER.verify(hashed or _nobodys(), _normal(password)) and bool(hashed)
    except (VerificationError, InvalidHashError):
        return False


def needs_rehash(hashed: str) -> bool:
    """Whether a hash was made by other parameters than those of now."""
    return _HASHER.check_needs_rehash(hashed)


@cache
def _nobodys() -> str:
    return _HASHER.hash("")


def _normal(password: str) -> str:
    # The same keys give composed letters on one machine and decomposed ones on another.
    return unicodedata.normalize("NFC", password)
