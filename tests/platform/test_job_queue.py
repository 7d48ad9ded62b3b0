"""Background work: put into a queue with its change, done fairly, again after errors and deaths, ended when asked."""

from __future__ import annotations

import asyncio
import io
import json
import os
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import errors

from valueverse.errors import RefusalError
from valueverse.platform import job_queue
from valueverse.platform.job_queue import Job, JobKind, Worker
from valueverse.platform.queries import rows_of, value_of, values_of
from valueverse.platform.telemetry.logs import make_log
from valueverse.platform.warehouse import connect
from valueverse.services.background.job_kinds import AT_ONCE
from valueverse.services.webhooks import jobs as webhooks

if TYPE_CHECKING:
    from valueverse.platform.isolation import Failure
    from valueverse.platform.settings import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.integration]
QUEUE = "computations"
SQL = Path(job_queue.__file__).parent / "migrations/sql"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def world(module_settings: Settings) -> Settings:
    with connect(module_settings, "builder") as connection:
        connection.execute("delete from queue.procrastinate_jobs")
        connection.execute("delete from queue.tenant_turn")
    return module_settings


@dataclass
class Work:
    """What jobs do in a test: they note that they ran, and fail or hang where that is asked."""

    errors: dict[str, BaseException] = field(default_factory=dict)
    hang: bool = False
    forgets: bool = False
    done: list[Job] = field(default_factory=list)
    given_up: list[tuple[str, str]] = field(default_factory=list)
    at_once: int = 0
    most: int = 0
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    sink: io.BytesIO = field(default_factory=io.BytesIO)

    async def work(self, _: Settings, job: Job) -> None:
        self.begun.set()
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            await asyncio.sleep(600 if self.hang else 0)
            if error := self.errors.get(job.tenant):
                raise error
        finally:
            self.at_once -= 1
        self.done.append(job)

    async def give_up(self, _: Settings, job: Job, failure: Failure) -> None:
        if self.forgets:
            raise OSError("away")
        self.given_up.append((job.tenant, failure.code))

    def worker(self, settings: Settings, at_once: int = 1) -> Worker:
        kind = JobKind("try", QUEUE, self.work, (10, 60), self.give_up)
        return Worker(settings, [kind], {QUEUE: at_once}, make_log(self.sink))

    def logged(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.sink.getvalue().splitlines()]


def defer(settings: Settings, *jobs: tuple[str, str]) -> None:
    with connect(settings, "builder") as connection:
        for tenant, key in jobs:
            connection.execute("select queue.defer(%s, %s, 'try', %s)", [tenant, QUEUE, key])


def left(settings: Settings) -> list[tuple[str, str, int]]:
    with connect(settings, "builder") as connection:
        query = "select tenant_id, status::text, attempts from queue.procrastinate_jobs order by id"
        return [tuple(row.values()) for row in rows_of(connection, query)]


def make_due(settings: Settings) -> None:
    with connect(settings, "builder") as connection:
        connection.execute("update queue.procrastinate_jobs set scheduled_at = now() where status = 'todo'")


async def test_a_job_is_there_with_its_change_or_not_at_all_and_done_once(world: Settings) -> None:
    work = Work()
    with connect(world, "builder") as connection:
        connection.execute("select queue.defer('acme', %s, 'try', '1')", [QUEUE])
        connection.rollback()
    with connect(world, "builder") as connection:
        trace = f"00-{'a' * 32}-{'b' * 16}-01"
        connection.execute("select set_config('valueverse.request', 'r-1', true)")
        connection.execute("select set_config('valueverse.traceparent', %s, true)", [trace])
        connection.execute("select queue.defer('acme', %s, 'try', '2')", [QUEUE])
        connection.execute("select queue.defer('acme', %s, 'try', '3', now() + interval '1 hour')", [QUEUE])
    await work.worker(world).run_due()
    assert [(job.tenant, job.key, job.attempt) for job in work.done] == [("acme", "2", 1)]
    assert left(world) == [("acme", "todo", 0)]
    (line,) = work.logged()
    assert (line["tenant"], line["request_id"], line["trace_id"], line["key"]) == ("acme", "r-1", "a" * 32, "2")


async def test_many_jobs_of_a_tenant_hold_up_nobody_elses(world: Settings) -> None:
    work = Work()
    defer(world, *(("acme", str(number)) for number in range(6)), ("birch", "1"), ("birch", "2"), ("cedar", "1"))
    await work.worker(world).run_due()
    order = ["acme", "birch", "cedar", "acme", "birch", *(["acme"] * 4)]
    assert [job.tenant for job in work.done] == order
    assert [job.key for job in work.done if job.tenant == "acme"] == [str(number) for number in range(6)]
    # However many places there are, a tenant has its share of them.
    work = Work()
    defer(world, *(("acme", str(number)) for number in range(4)))
    await work.worker(world, at_once=4).run_due()
    assert (len(work.done), work.most) == (4, 1)


async def test_webhooks_of_a_hundred_tenants_that_hang_delay_nobody_elses(world: Settings) -> None:
    begun: list[str] = []
    all_hang, healthy, over = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work(_: Settings, job: Job) -> None:
        begun.append(job.tenant)
        if job.tenant == "birch":
            healthy.set()
        else:
            if len(begun) == 100 * share:
                all_hang.set()
            await over.wait()

    queue = webhooks.QUEUE
    kind = JobKind("try", queue, work, (10,), Work().give_up)
    defer_many = """
        select queue.defer('t-' || tenant, %s, 'try', key::text)
          from generate_series(1, 100) as tenant, generate_series(1, %s) as key"""
    with connect(world, "builder") as connection:
        share = value_of(connection, "select jobs from queue.tenant_share where queue_name = %s", [queue])
        connection.execute(defer_many, [queue, share])
    worker = asyncio.create_task(Worker(world, [kind], {queue: AT_ONCE[queue]}, make_log(io.BytesIO())).run())
    await asyncio.wait_for(all_hang.wait(), 30)
    with connect(world, "builder") as connection:
        connection.execute("select queue.defer('birch', %s, 'try', '1')", [queue])
    await asyncio.wait_for(healthy.wait(), 3)
    over.set()
    worker.cancel()
    await asyncio.wait([worker])


async def test_a_failing_tenants_job_is_tried_again_later_and_given_up_and_the_others_are_done(world: Settings) -> None:
    work = Work(errors={"acme": OSError("secret whsec_abc"), "birch": RefusalError("bad_catalog", "no price", "plans")})
    defer(world, ("acme", "1"), ("birch", "1"), ("cedar", "1"))
    await work.worker(world, at_once=2).run_due()
    assert [job.tenant for job in work.done] == ["cedar"]
    # What a tenant's data is to blame for is not tried again.
    assert work.given_up == [("birch", "bad_catalog")]
    assert left(world) == [("acme", "todo", 1), ("birch", "failed", 1)]
    with connect(world, "builder") as connection:
        (due,) = values_of(connection, "select scheduled_at from queue.procrastinate_jobs where status = 'todo'")
        assert 4 <= (due - datetime.now(UTC)).total_seconds() <= 12
    for _ in range(3):
        make_due(world)
        await work.worker(world).run_due()
    assert work.given_up == [("birch", "bad_catalog"), ("acme", "oserror")]
    assert left(world)[0] == ("acme", "failed", 3)
    assert b"whsec_abc" not in work.sink.getvalue()


async def test_a_job_whose_object_does_not_say_yet_that_it_was_given_up_stays_until_it_does(world: Settings) -> None:
    work = Work(errors={"acme": RefusalError("bad_catalog", "no price", "plans")}, forgets=True)
    defer(world, ("acme", "1"), ("acme", "2"))
    with connect(world, "builder") as connection:
        connection.execute(
            "update queue.procrastinate_jobs set status = 'doing', attempts = 2 where args ->> 'key' = '2'"
        )
    with pytest.raises(OSError, match="away"):
        await work.worker(world).run_due()  # of a dead worker
    assert left(world) == [("acme", "todo", 0), ("acme", "doing", 2)]
    with connect(world, "builder") as connection:
        connection.execute("delete from queue.procrastinate_jobs where status = 'doing'")
    await work.worker(world).run_due()
    assert left(world) == [("acme", "todo", 1)]
    work.forgets = False
    make_due(world)
    await work.worker(world).run_due()
    assert (left(world), work.given_up) == ([("acme", "failed", 2)], [("acme", "bad_catalog")])


async def test_attempts_that_failed_together_do_not_come_back_together() -> None:
    kind = JobKind("try", QUEUE, Work().work, (100,), Work().give_up)
    waits = {kind.wait(OSError(), 0) for _ in range(20)}
    assert len(waits) > 15
    assert all(wait is not None and 80 <= wait <= 120 for wait in waits)
    assert kind.wait(OSError(), 1) is None


async def test_jobs_of_a_killed_worker_begin_again_and_one_that_kills_each_is_given_up(world: Settings) -> None:
    defer(world, ("acme", "1"))
    code = (
        "import asyncio, io, os\n"
        "from valueverse.platform.job_queue import JobKind, Worker\n"
        "from valueverse.platform.settings import get_settings\n"
        "from valueverse.platform.telemetry.logs import make_log\n"
        "async def die(*_):\n    os.kill(os.getpid(), 9)\n"
        f"kind = JobKind('try', '{QUEUE}', die, (10, 60), die)\n"
        f"asyncio.run(Worker(get_settings(), [kind], {{'{QUEUE}': 1}}, make_log(io.BytesIO())).run_due())\n"
    )
    died = await asyncio.create_subprocess_exec(sys.executable, "-c", code, env=os.environ | world.environment())
    assert await died.wait() == -9
    assert left(world) == [("acme", "doing", 0)]
    work = Work()
    await work.worker(world).run_due()
    assert work.done == []  # it may be alive
    age(world)
    await work.worker(world).run_due()
    assert [(job.key, job.attempt) for job in work.done] == [("1", 2)]
    assert left(world) == []
    defer(world, ("acme", "2"))
    with connect(world, "builder") as connection:
        connection.execute("update queue.procrastinate_jobs set status = 'doing', attempts = 2")
    await work.worker(world).run_due()
    assert work.given_up == [("acme", "worker_ended")]
    assert left(world) == [("acme", "failed", 3)]


def age(settings: Settings) -> None:
    """No worker has shown a heartbeat for a minute."""
    with connect(settings, "builder") as connection:
        connection.execute("update queue.procrastinate_workers set last_heartbeat = now() - interval '1 minute'")


async def test_a_job_that_is_cancelled_ends_and_one_of_a_stopped_worker_begins_again(
    world: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = Work(hang=True)
    defer(world, ("acme", "1"))
    running = asyncio.create_task(work.worker(world).run_due())
    await work.begun.wait()
    with connect(world, "builder") as connection:
        (job,) = values_of(connection, "select id from queue.procrastinate_jobs")
        connection.execute("select queue.cancel('birch', %s)", [job])
        assert value_of(connection, "select abort_requested from queue.procrastinate_jobs") is False
        connection.execute("select queue.cancel('acme', %s)", [job])
    await running
    assert left(world) == [("acme", "aborted", 1)]
    monkeypatch.setattr(job_queue, "_GRACE", 0)
    defer(world, ("birch", "1"))
    work.begun.clear()
    running = asyncio.create_task(work.worker(world).run())
    await work.begun.wait()
    # Every login of the database may notify: neither an order to end the job nor what is no JSON ends anything.
    with connect(world, "builder", autocommit=True) as connection:
        job = value_of(connection, "select max(id) from queue.procrastinate_jobs")
        for payload in (f'{{"type":"abort_job_requested","job_id":{job}}}', "no JSON", ""):
            connection.execute(f"""notify "procrastinate_queue_v1#{QUEUE}", '{payload}'""")
    await asyncio.sleep(0.5)
    assert left(world)[1] == ("birch", "doing", 0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert left(world)[1] == ("birch", "todo", 1)
    assert (work.done, work.given_up) == ([], [])


def test_a_job_that_ends_makes_workers_look_for_the_tenants_next_one(world: Settings) -> None:
    defer(world, ("acme", "1"), ("acme", "2"), ("birch", "1"))
    with connect(world, "builder", autocommit=True) as connection:
        connection.execute(f'listen "procrastinate_queue_v1#{QUEUE}"')

        def heard(statement: str) -> int:
            connection.execute(statement)
            return len(list(connection.notifies(timeout=0.2)))

        take = f"select queue.procrastinate_fetch_job_v2(array['{QUEUE}'], null)"
        assert heard(f"{take}; {take}; {take}") == 0
        assert left(world) == [("acme", "doing", 0), ("acme", "todo", 0), ("birch", "doing", 0)]
        assert heard("delete from queue.procrastinate_jobs where tenant_id = 'birch'") == 0
        assert heard("update queue.procrastinate_jobs set status = 'failed' where status = 'doing'") == 1


@pytest.mark.security
def test_the_api_reaches_the_queue_through_its_functions_alone(world: Settings) -> None:
    for statement in (
        "select * from queue.procrastinate_jobs",
        "select queue.defer('acme', 'computations', 'try', '1')",
        "select queue.cancel('acme', 1)",
    ):
        with connect(world, "api") as connection, pytest.raises(errors.InsufficientPrivilege):
            connection.execute(statement)
    with connect(world, "builder") as connection, pytest.raises(psycopg.Error):
        connection.execute("select queue.defer('', %s, 'try', '1')", [QUEUE])


def test_the_schema_is_that_of_the_library_that_is_installed() -> None:
    ours = (SQL / "0043_procrastinate.sql").read_text(encoding="utf-8")
    assert ours == resources.files("procrastinate").joinpath("sql/schema.sql").read_text(encoding="utf-8")
