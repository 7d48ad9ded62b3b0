"""A command for many tenants whose result one of them cannot take from the others."""

from __future__ import annotations

import sys
from contextlib import redirect_stderr
from io import StringIO
from typing import TYPE_CHECKING, TypeVar

from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from valueverse.platform.isolation import Failure

T = TypeVar("T")


def without_failing(work: Callable[[list[str]], T], tenants: Sequence[str]) -> tuple[T, list[Failure]]:
    """What the work comes to for all tenants but those that it fails for, and who they are.

    What an attempt writes to standard error is shown when it has ended well, so that nothing is printed twice.

    Args:
        work: called with tenant keys: whole, or an error.
        tenants: for whom.

    Raises:
        RefusalError: as the work, where it fails for every tenant; ``tenants_failed`` where that was no refusal.
        BaseException: what is no tenant's failure (``isolation.is_shared``).
    """
    everyone = sorted(set(tenants))
    try:
        return _quietly(work, everyone), []
    except BaseException as error:
        # Only a failure needs the libraries whose errors are distinguished.
        from valueverse.platform.isolation import is_shared, isolate

        if is_shared(error):
            raise
        first = error
    done = isolate(lambda chosen: _attempt(work, list(chosen or everyone)), everyone, lambda: everyone)
    failed = {failure.tenant for failure in done.failures}
    left = [tenant for tenant in everyone if tenant not in failed]
    if not left and isinstance(first, RefusalError):
        raise first
    if not left:
        raise RefusalError("tenants_failed", "; ".join(sentences(done.failures[:5])), "--tenant") from first
    return _quietly(work, left), done.failures


def sentences(failures: Sequence[Failure]) -> list[str]:
    """One per tenant: who failed and why."""
    return [f"tenant {one.tenant} is left out: {one.message} [{one.code}]" for one in failures]


def report(failures: Sequence[Failure]) -> int:
    """Say on standard error who failed and why; the exit code: 1 where somebody did."""
    for sentence in sentences(failures):
        sys.stderr.write(f"{sentence}\n")
    return 1 if failures else 0


def _attempt(work: Callable[[list[str]], T], tenants: list[str]) -> None:
    """One attempt whose result is discarded: it finds the tenants that fail."""
    with redirect_stderr(StringIO()):
        work(tenants)


def _quietly(work: Callable[[list[str]], T], tenants: list[str]) -> T:
    captured = StringIO()
    with redirect_stderr(captured):
        found = work(tenants)
    sys.stderr.write(captured.getvalue())
    return found
