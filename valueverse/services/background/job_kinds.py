"""The kinds of jobs that the server ``worker`` does, and how many of each queue at once."""

from __future__ import annotations

from valueverse.services.computations import jobs as computations
from valueverse.services.people import jobs as people
from valueverse.services.webhooks import jobs as webhooks

KINDS = (*computations.KINDS, *webhooks.KINDS, *people.KINDS)
AT_ONCE = {computations.QUEUE: 2, webhooks.QUEUE: 512, people.QUEUE: 4}
"""queue -> jobs of all tenants in one process. How many of them one tenant may have is in ``queue.tenant_share``: 4 of
``webhooks``, so that endpoints of more than a hundred tenants may hang at once and leave places. What hangs waits for a
socket, and has neither a thread nor a connection to the database."""
