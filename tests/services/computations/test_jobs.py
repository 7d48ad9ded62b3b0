"""The processes that work out simulations and re-ratings: ended when cancelled; what failures give away."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.support.warehouse_billing import rows
from valueverse.platform.isolation import failure_of
from valueverse.platform.job_queue import Job
from valueverse.platform.servers import processes
from valueverse.platform.warehouse import connect
from valueverse.services.computations import jobs

if TYPE_CHECKING:
    from valueverse.platform.job_queue import JobKind
    from valueverse.platform.settings import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.integration]
KINDS: dict[str, JobKind] = {kind.task: kind for kind in jobs.KINDS}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def stored(settings: Settings, kind: str, state: str) -> str:
    """The id of one in this state."""
    made = str(uuid.uuid4())
    with connect(settings, "builder") as connection:
        connection.execute(
            "insert into billing.computation"
            " (tenant_id, computation, kind, request, steps, requested_by, state, result)"
            " values ('acme', %s, %s, '{}', 1, 'key', %s, '{}')",
            [made, kind, state],
        )
    return made


async def test_work_that_is_cancelled_ends_its_process(
    module_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "_MODULE", "code")  # reads its input until it ends
    work = asyncio.ensure_future(KINDS["simulate"].work(module_settings, Job("acme", "1", 1)))
    children: list[psutil.Process] = []

    def has_begun() -> bool:
        # Children of other tests end meanwhile: process_iter leaves out what cannot be asked any more.
        known = {one.pid for one in psutil.Process().children()}
        named = psutil.process_iter(["cmdline"])
        children[:] = [one for one in named if one.pid in known and "code" in (one.info["cmdline"] or [])]
        return bool(children)

    assert await asyncio.to_thread(processes.wait_until, has_begun, lambda: True, 60)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert not any(child.is_running() for child in children)


@pytest.mark.parametrize(
    ("task", "kind", "state", "after"),
    [("simulate", "simulation", "running", "failed"), ("apply_rerating", "rerating", "applying", "done")],
)
async def test_a_process_that_ends_without_an_answer_is_tried_again_and_given_up_without_its_reason(
    module_settings: Settings, monkeypatch: pytest.MonkeyPatch, task: str, kind: str, state: str, after: str
) -> None:
    job = Job("acme", stored(module_settings, kind, state), 1)
    monkeypatch.setattr(jobs, "_MODULE", "nowhere.to_be_found")
    with pytest.raises(jobs.ComputationError, match="nowhere") as ended:
        await KINDS[task].work(module_settings, job)
    assert [KINDS[task].wait(ended.value, attempts) is not None for attempts in range(4)] == [True, True, True, False]
    await KINDS[task].give_up(module_settings, job, failure_of("acme", ended.value))
    query = f"select state, problem_code, problem_message from billing.computation where computation = '{job.key}'"
    ((now, code, message),) = rows(module_settings, query)
    assert (now, code) == (after, "internal")
    assert "ask again" in message
    assert "nowhere" not in message
