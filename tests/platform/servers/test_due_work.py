"""Steps of a catch-up in a process of its own; a stand-in writes them here (tests/pipelines judges the real one)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from valueverse.errors import RefusalError
from valueverse.platform.servers import due_work
from valueverse.platform.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

STEP = {"stage": "usage", "summary": "derive usage", "partitions": "", "run_id": "r1", "seconds": 0.5, "ok": True}


def _stand_in(
    folder: Path, monkeypatch: pytest.MonkeyPatch, answers: dict[str, list[dict[str, Any]]], code: int = 0
) -> Settings:
    """A program that answers what it is asked; what it has no answer to ends it with ``code``."""
    (folder / "pipelines").mkdir()
    (folder / "pipelines" / "__init__.py").write_text("")
    program = f"""
import json, sys
sys.stderr.write(repr(sys.argv[1:]))
for line in sys.stdin:
    sys.stderr.write(line)
    for step in {answers!r}.get(line.strip()) or sys.exit({code}):
        print(json.dumps(step), flush=True)
"""
    (folder / "pipelines" / "catch_up.py").write_text(program)
    monkeypatch.setattr(due_work, "project", lambda: folder)
    return Settings(home=folder / "home")


def test_each_step_says_what_it_covered_and_one_process_is_asked_any_number_of_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranged = STEP | {"stage": "billing", "summary": "bill", "partitions": "2026-01-01...2026-02-01", "run_id": "r2"}
    begins = {"begins": "billing", "summary": "bill", "partitions": "2026-01-01...2026-02-01"}
    answers = {"usage": [STEP, {"reached": "usage"}], "": [begins, ranged, {"reached": ""}]}
    settings = _stand_in(tmp_path, monkeypatch, answers)
    begun: list[str] = []
    with due_work.DueWork(settings) as due:
        first = [(step.stage, step.what, step.run_id) for step in due.run("usage", begun.append)]
        assert (begun, first) == ([], [("usage", "derive usage", "r1")])
        rest = [(step.stage, step.what, step.run_id) for step in due.run(None, begun.append)]
    assert begun == ["bill: 2026-01-01 to 2026-02-01"]
    assert rest == [("billing", "bill: 2026-01-01 to 2026-02-01", "r2")]
    assert (settings.logs / "catch-up.log").read_text() == "['--asked']usage\n\n"


def test_a_run_that_failed_is_named_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = STEP | {"partitions": "2026-01-01", "ok": False, "error": "the disk is full"}
    settings = _stand_in(tmp_path, monkeypatch, {"": [STEP, failed]})
    with due_work.DueWork(settings) as due:
        steps = due.run()
        assert next(steps).stage == "usage"
        with pytest.raises(
            RefusalError, match=r"^usage 2026-01-01: the disk is full \(run r1, log .*; fix it and run again"
        ):
            next(steps)


def test_a_process_that_ends_without_a_step_points_to_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _stand_in(tmp_path, monkeypatch, {}, 3)
    with due_work.DueWork(settings) as due:
        for _ in range(2):
            with pytest.raises(RefusalError, match=r"Dagster ended with exit code 3; see .*catch-up\.log"):
                list(due.run())
