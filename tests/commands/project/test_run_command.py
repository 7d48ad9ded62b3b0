"""``valueverse run``: what it prints and what it ends with; servers and Dagster are stand-ins (see test_readme.py)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from typer.testing import CliRunner, Result

from valueverse.cli import app
from valueverse.errors import RefusalError
from valueverse.platform.servers import due_work, supervisor
from valueverse.services.event_tally import Tally
from valueverse.services.project import run_project
from valueverse.services.project.run_project import RunResult
from valueverse.services.project.start_project import start_project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Self

    from valueverse.platform.settings import Settings

DAY = datetime(2026, 1, 1, tzinfo=UTC)
INVOICE = {"tenant": "acme", "customer": "c1", "status": "finalised", "currency": "USD", "first_day": DAY.date()}
INVOICE |= {"last_day": DAY.date(), "total": "5.00", "amount_due": "4.00"}
DRAFT = INVOICE | {"number": None, "status": "draft"}


class _Due:
    """A stand-in for the process that runs what is due."""

    steps: ClassVar[list[due_work.DoneStep]] = []
    refusal: ClassVar[RefusalError | None] = None

    def __init__(self, _settings: Settings) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def run(self, begins: Callable[[str], object]) -> Iterator[due_work.DoneStep]:
        yield from self.steps
        if self.refusal:
            raise self.refusal


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose servers run and in which one stage is due."""
    start_project(tmp_path / "project", "acme")
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setattr(supervisor, "up", lambda *_: iter(()))
    monkeypatch.setattr(due_work, "DueWork", _Due)
    monkeypatch.setattr(_Due, "steps", [due_work.DoneStep("billing", "bill", "r1", 1.5)])
    return tmp_path / "project"


def _run(monkeypatch: pytest.MonkeyPatch, result: RunResult, *options: str) -> Result:
    asked: list[Any] = []
    monkeypatch.setattr(run_project, "result_of", lambda _, runs, __: asked.append(runs) or result)
    done = CliRunner().invoke(app, ["run", *options])
    assert asked == [["r1"]], "the result is that of the runs of this time"
    return done


def test_invoices_what_was_not_used_and_what_to_do_next_are_printed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tally = Tally(3, {"duplicate": (1, "")})
    result = RunResult([DRAFT, *(INVOICE | {"number": f"acme-{n:06}"} for n in range(1, 25))], {"acme": tally}, [], [])
    done = _run(monkeypatch, result)
    assert done.exit_code == 0
    assert "catalog" in done.stderr
    assert "publish catalog.yaml, to hold from 2025-12-31 on" in done.stderr
    assert "billing      1.5 s  bill" in done.stderr
    shown = " ".join(done.stdout.split())
    assert "- c1 2026-01-01..2026-01-01 draft 5.00 USD 4.00 acme-000001 c1" in shown
    assert "acme-000019 c1" in shown
    assert "acme-000020 c1" not in shown
    assert "... and 5 more: `valueverse invoices list`" in shown
    assert "acme: used 2 of 3 events, 1 not, because: not used: 1 duplicate (the same event again) next:" in shown
    assert "valueverse invoices show acme-000001 " in shown


def test_held_tenants_and_files_that_are_not_taken_are_named_and_held_ones_are_exit_1(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = RunResult([], {}, ["a.txt is not taken"], [])
    ignored = _run(monkeypatch, result)
    assert (ignored.exit_code, "a.txt is not taken" in ignored.stdout) == (0, True)
    assert "no invoice is new" in ignored.stdout
    assert "invoices show" not in ignored.stdout
    held = _run(monkeypatch, RunResult([], {}, [], ["acme is held"]))
    assert (held.exit_code, "acme is held" in held.stdout) == (1, True)


def test_programs_read_one_object(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = RunResult([INVOICE | {"number": "acme-000001"}], {"acme": Tally(2)}, [], ["acme is held"])
    done = _run(monkeypatch, result, "--json")
    answer = json.loads(done.stdout)
    assert done.exit_code == 1
    assert answer["catalog"] == "catalog.yaml, to hold from 2025-12-31 on"
    assert answer["runs"] == ["r1"]
    assert answer["invoices"][0]["total"] == "5.00"
    assert answer["events"] == {"acme": {"received": 2, "used": 2, "not_used": []}}
    assert (answer["ignored_files"], answer["held"]) == ([], ["acme is held"])


def test_a_run_that_failed_and_a_folder_without_a_project_are_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    refusal = RefusalError("run_failed", "billing 2026-01-01: the disk is full; fix it and run again")
    monkeypatch.setattr(_Due, "steps", [due_work.DoneStep("usage", "derive", "r0", 0.1)])
    monkeypatch.setattr(_Due, "refusal", refusal)
    stopped = CliRunner().invoke(app, ["run"])
    assert isinstance(stopped.exception, RefusalError)
    assert stopped.exception.code == "run_failed"
    assert "usage        0.1 s  derive" in stopped.stderr
    monkeypatch.chdir(tmp_path)
    nowhere = CliRunner().invoke(app, ["run"])
    assert isinstance(nowhere.exception, RefusalError)
    assert nowhere.exception.code == "no_project"
