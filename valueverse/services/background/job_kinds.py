"""The kinds of jobs that the server ``worker`` does, and how many of each queue at once."""

from __future__ import annotations

from valueverse.services.computations import jobs as computations

KINDS = computations.KINDS
AT_ONCE = {computations.QUEUE: 2}
"""queue -> jobs of all tenants in one process. How many of them one tenant may have is in ``queue.tenant_share``."""
