"""What the processes of the kill loop do (``tests.support.forks``), and where they kill themselves if asked to.

``VALUEVERSE_TEST_KILL`` names what ends and at which point, as ``victim@point``. Victims are ``group`` (the process
with all that it began) and ``postgres``; points are ``module:function:before``, ``...:after``, and ``sql:PATTERN``, the
first statement of dbt in which the pattern is found.
"""

from __future__ import annotations

import importlib
import os
import re
import signal
import sys
from typing import Any

POINT = "VALUEVERSE_TEST_KILL"


def catch_up(argv: list[str]) -> int:
    """``python -m pipelines.catch_up``."""
    from pipelines.catch_up import main

    _arm()
    return main(argv)


def command(argv: list[str]) -> None:
    """``valueverse ...``."""
    from valueverse import cli

    _arm()
    sys.argv = ["valueverse", *argv]
    cli.main()


def dbt(argv: list[str]) -> int:
    """The program ``dbt``."""
    from pipelines.dbt_program import main

    _arm_dbt()
    return main(argv)


def beside(argv: list[str]) -> int:
    """A stage of all days or months, run without the lock of catch-ups; a further argument is a tag of the run."""
    import dagster as dg

    from assets.partitions import range_tags
    from pipelines import catch_up as program
    from pipelines.definitions import defs
    from valueverse.platform.settings import get_settings

    stage, first, last, *daemon = argv
    program._use_instance(get_settings())
    tags = {**dict.fromkeys(daemon, "{}"), **(range_tags(first, last) if first else {})}
    with dg.DagsterInstance.get() as instance:
        done = defs.resolve_job_def(f"{stage}_job").execute_in_process(
            run_config=program.QUIET, instance=instance, tags=tags, raise_on_error=False
        )
    return int(not done.success)


def _arm() -> None:
    victim, _, point = os.environ.get(POINT, "").partition("@")
    if not point or point.startswith("sql:"):
        return
    where, name, when = point.split(":")
    module = importlib.import_module(where)
    holder: Any = module
    *path, last = name.split(".")
    for part in path:
        holder = getattr(holder, part)
    work = getattr(holder, last)

    def armed(*args: Any, **kwargs: Any) -> Any:
        if when == "before":
            _kill(victim)
        done = work(*args, **kwargs)
        if when == "after":
            _kill(victim)
        return done

    setattr(holder, last, armed)


def _arm_dbt() -> None:
    victim, _, point = os.environ.get(POINT, "").partition("@")
    if not point.startswith("sql:"):
        return
    from dbt.adapters.sql.connections import SQLConnectionManager

    pattern, execute = re.compile(point.removeprefix("sql:"), re.IGNORECASE | re.DOTALL), SQLConnectionManager.add_query

    def armed(self: Any, sql: str, *args: Any, **kwargs: Any) -> Any:
        if pattern.search(sql):
            _kill(victim)
        return execute(self, sql, *args, **kwargs)

    SQLConnectionManager.add_query = armed


def _kill(victim: str) -> None:
    if victim == "group":
        os.killpg(os.getpgid(0), signal.SIGKILL)
    from valueverse.platform.servers import processes
    from valueverse.platform.settings import get_settings

    record = processes.read_record(get_settings().run, victim)
    if record is not None and processes.alive(record):
        os.kill(record.pid, signal.SIGKILL)
        processes.wait_until(lambda: not processes.alive(record), lambda: True, 60)
