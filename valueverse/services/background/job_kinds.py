"""The kinds of jobs that the server ``worker`` does, and how many of each queue at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from valueverse.platform.job_queue import JobKind

KINDS: tuple[JobKind, ...] = ()
AT_ONCE = {"computations": 2}
"""queue -> jobs of all tenants in one process. How many of them one tenant may have is in ``queue.tenant_share``."""
