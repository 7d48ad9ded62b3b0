"""Jobs of the queue that a test has done."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

from valueverse.platform.job_queue import Worker
from valueverse.platform.telemetry.logs import make_log

if TYPE_CHECKING:
    from collections.abc import Iterable

    from valueverse.platform.job_queue import JobKind
    from valueverse.platform.settings import Settings


async def jobs_done(settings: Settings, kinds: Iterable[JobKind], queue: str, at_once: int = 8) -> list[dict[str, Any]]:
    """Do what is due of a queue, and what a dead worker left; the lines that were logged."""
    sink = io.BytesIO()
    await Worker(settings, kinds, {queue: at_once}, make_log(sink)).run_due()
    return [json.loads(line) for line in sink.getvalue().splitlines()]
