"""How many files, connections among them, a process may have open at once."""

from __future__ import annotations

import resource

_MOST = 65_536


def usable(wanted: int) -> int:
    """So many of ``wanted`` as the system's hard limit allows."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)


def raise_limit() -> None:
    """Let this process have 65,536 open, or as many as the hard limit allows; a soft limit of 1,024 is usual."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = usable(_MOST)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
