"""Work for many tenants that one of them cannot stop: the failing tenants are found by bisection, the others finish."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import psycopg

from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")
_LOG = logging.getLogger(__name__)

_LONGEST = 500
"""Characters of a failure's message."""
_SHARED_CODES = frozenset({"warehouse_unreachable", "disk_full", "lake_unwritable", "lake_failed", "busy"})
"""Refusals about a server, a disk or a lock: of no tenant's data."""
_DATA_CLASSES = ("21", "22", "23", "44", "54", "P0")
"""SQLSTATE classes that a row can cause: cardinality, data, integrity, check option, limits, raised by a trigger."""


@dataclass(frozen=True)
class Failure:
    """Why the work failed for one tenant: a stable code and one sentence."""

    tenant: str
    code: str
    message: str


@dataclass(frozen=True)
class Isolated(Generic[T]):
    """What the work gave for the tenants that it could be done for, in one or more parts, and who failed.

    Attributes:
        results: one per set of tenants that was done together.
        failures: by tenant.
    """

    results: list[T]
    failures: list[Failure]

    @property
    def outcome(self) -> str:
        """``finished``, or ``finished, 2 tenants held``."""
        return f"finished{held_suffix(len(self.failures))}"


def held_suffix(count: int) -> str:
    """``, 1 tenant held``; nothing for 0."""
    return f", {count} tenant{'s' if count > 1 else ''} held" if count else ""


def isolate(
    work: Callable[[Sequence[str] | None], T],
    chosen: Sequence[str] | None,
    everyone: Callable[[], Sequence[str]],
) -> Isolated[T]:
    """Do ``work`` for all tenants at once; where it fails, find the tenants that make it fail and do the others.

    Each call of ``work`` is one attempt: it writes all of its tenants' results, or raises and leaves nothing. With k
    failing tenants among n it is called O(k log n) times.

    Args:
        work: called with tenant keys, or with None for all tenants.
        chosen: the tenants asked for; None: all.
        everyone: gives all tenants whose data the work may read; called after a first failure only.

    Raises:
        BaseException: what is no tenant's failure: a server, disk or lock, an interruption; and an error that every
            tenant of a run for all tenants meets, which is a fault of the work.
    """
    try:
        return Isolated([work(chosen)], [])
    except BaseException as error:
        if is_shared(error):
            raise
        tenants = sorted(set(everyone() if chosen is None else chosen))
        if not tenants:
            raise
        first = error
    found = Isolated[T]([], [])
    _bisect(work, tenants, found, fails=True)
    common = {failure.code for failure in found.failures}
    if chosen is None and len(tenants) > 1 and not found.results and len(common) == 1:
        raise first
    return found


def _bisect(
    work: Callable[[Sequence[str] | None], T], tenants: Sequence[str], found: Isolated[T], *, fails: bool
) -> bool:
    """Do the work for these tenants, halving the set where it fails; ``fails``: it is known to. True if one failed."""
    if len(tenants) == 1 or not fails:
        try:
            result = work(tenants)
        except BaseException as error:
            if is_shared(error):
                raise
            if len(tenants) == 1:
                # A refusal is a sentence for people, and says what it is of; anything else is a fault to be found.
                trace = None if isinstance(error, RefusalError) else error
                _LOG.warning("tenant %s is held: %s", tenants[0], error, exc_info=trace)
                found.failures.append(failure_of(tenants[0], error))
                return True
        else:
            found.results.append(result)
            return False
    half = len(tenants) // 2
    left = _bisect(work, tenants[:half], found, fails=False)
    right = _bisect(work, tenants[half:], found, fails=not left)
    return left or right


def is_shared(error: BaseException) -> bool:
    """Whether an error is of the installation (server, disk, lock, interruption) and not of a tenant's data."""
    if not isinstance(error, Exception):
        return not is_panic(error)
    if isinstance(error, RefusalError):
        return error.code in _SHARED_CODES
    if isinstance(error, psycopg.Error):
        if error.sqlstate is None:
            return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        return not error.sqlstate.startswith(_DATA_CLASSES)
    if isinstance(error, OSError):
        return True
    import duckdb  # servers that never query by it start without it

    return isinstance(error, duckdb.IOException)


def is_panic(error: BaseException) -> bool:
    """Whether an error is a panic of native code: each Rust extension has its own class, not below Exception."""
    return any(base.__name__ == "PanicException" for base in type(error).__mro__)


def failure_of(tenant: str, error: BaseException) -> Failure:
    """The failure as a person reads it: code and one sentence without line breaks."""
    if isinstance(error, RefusalError):
        where = f" ({error.path})" if error.path else ""
        return Failure(tenant, error.code, _sentence(f"{error.message}{where}"))
    if is_panic(error):
        return Failure(tenant, "native_panic", _sentence(str(error)))
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(error).__name__).lower()
    primary = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    return Failure(tenant, name, _sentence(primary or str(error) or type(error).__name__))


def _sentence(text: str) -> str:
    sentence = " ".join(text.replace("\0", "\\0").split())
    return sentence if len(sentence) <= _LONGEST else f"{sentence[: _LONGEST - 1]}…"
