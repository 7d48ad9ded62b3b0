"""The jobs that work out simulations and re-ratings, each in a process of its own.

A fault of native code, or the end of memory, ends that process and not the worker; a job that is cancelled ends it too.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from functools import partial
from typing import TYPE_CHECKING

from valueverse.errors import RefusalError
from valueverse.platform.isolation import is_shared
from valueverse.platform.job_queue import JobKind
from valueverse.platform.stores import computation_store as store
from valueverse.platform.telemetry import tracing
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    from valueverse.platform.isolation import Failure
    from valueverse.platform.job_queue import Job
    from valueverse.platform.settings import Settings

QUEUE = "computations"
_MODULE = "valueverse.services.computations.compute"
_REFUSED = 3
_WAITS = (10, 60, 300)
APPLY = "apply_rerating"


class ComputationError(Exception):
    """The process that worked something out has ended without an answer."""


async def _work(task: str, settings: Settings, job: Job) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", _MODULE, task, job.tenant, job.key, tracing.traceparent() or ""),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | settings.environment(),
    )
    if process.stdout is None or process.stderr is None:
        raise ComputationError("it has no output")
    try:
        answer, errors = await asyncio.gather(process.stdout.read(), process.stderr.read())
        code = await process.wait()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    if code == _REFUSED:
        stated = json.loads(answer)
        refusal = RefusalError(stated["code"], stated["message"], stated["path"])
        if is_shared(refusal):
            raise refusal
        await asyncio.to_thread(_fail, task, settings, job, refusal)
    elif code:
        last = (errors.decode("utf-8", "replace").strip().splitlines() or ["nothing is known"])[-1]
        raise ComputationError(f"its process ended with {code}: {last}")


async def _give_up(task: str, settings: Settings, job: Job, _: Failure) -> None:
    # The reason is of the installation: it is in the log, and no tenant's business.
    message = "it could not be worked out, for a reason on our side: ask again, or for a shorter time"
    await asyncio.to_thread(_fail, task, settings, job, RefusalError("internal", message, ""))


def _fail(task: str, settings: Settings, job: Job, refusal: RefusalError) -> None:
    # What could not be applied may be applied later: the plan is as it was.
    state = "done" if task == APPLY else "failed"
    with connect(settings, "builder") as connection:
        problem = (refusal.code, refusal.message, refusal.path)
        store.end(connection, job.tenant, job.key, state, problem=problem)


KINDS = tuple(
    JobKind(task, QUEUE, partial(_work, task), _WAITS, partial(_give_up, task))
    for task in ("simulate", "plan_rerating", APPLY)
)
