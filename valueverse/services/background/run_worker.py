"""The process that does background work: ``python -m valueverse.services.background.run_worker``."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress

from valueverse.platform import descriptors
from valueverse.platform.job_queue import Worker
from valueverse.platform.settings import get_settings
from valueverse.platform.telemetry import tracing
from valueverse.platform.telemetry.logs import make_log
from valueverse.services.background.job_kinds import AT_ONCE, KINDS


async def main() -> None:
    """Do jobs until the process is to stop."""
    descriptors.raise_limit()
    settings = get_settings()
    tracing.begin(settings, "valueverse-worker")
    work = asyncio.ensure_future(Worker(settings, KINDS, AT_ONCE, make_log()).run())
    for one in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(one, work.cancel)
    with suppress(asyncio.CancelledError):
        await work
    await asyncio.to_thread(tracing.end)


if __name__ == "__main__":
    asyncio.run(main())
