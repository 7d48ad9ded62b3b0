"""``valueverse status`` and ``doctor``: every kind of trouble is shown, and its cure is a command that exists."""

from __future__ import annotations

import json
import os
import re
import shlex
import time
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from typer.testing import CliRunner

from tests.support.terminal import at_terminal, commands, faults
from tests.support.warehouse_billing import acme, run
from valueverse.cli import app
from valueverse.errors import RefusalError
from valueverse.platform.isolation import Failure
from valueverse.platform.lake import Lake
from valueverse.platform.servers.dagster_overview import DagsterOverview
from valueverse.platform.servers.supervisor import Status
from valueverse.platform.settings import Settings
from valueverse.platform.stores import held_store
from valueverse.platform.warehouse import connect
from valueverse.schemas.events import EVENTS, QUARANTINE
from valueverse.services.lake_tables import EVENTS_TABLE, QUARANTINE_TABLE
from valueverse.services.operations.findings import business_findings
from valueverse.services.operations.installation_status import NO_POSTGRES, read_status
from valueverse.services.privacy.erasure_register import register
from valueverse.services.tenant_holds import held_lines

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.ledger import World
    from valueverse.platform.servers.diagnosis import Finding
    from valueverse.services.operations.installation_status import InstallationStatus

NOW = datetime(2024, 6, 1, tzinfo=UTC)
FILE = (
    "insert into billing.ingestion_file values "
    "('acme', 'acme/{0}.ndjson', '{0}', '2024-05-0{1}', 9, 2, 0, 7, 0, '2024-05-0{1}')"
)
QUARANTINED = "insert into billing.quarantine_summary values ('acme', '{0}', 'acme/{0}.ndjson', '{1}', {2}, '{{}}')"
OVERVIEW = DagsterOverview(
    [{"sentence": "billing/invoices 2024-05-01 failed once: disk full"}],
    [{"stage": "billing", "materialised_at": "2024-05-30T00:00:00+00:00", "waiting": ["2024-05-01...2024-06-01"]}],
    "fix what the error names, then run `python -m pipelines.catch_up`",
)


@pytest.fixture(scope="module")
def world(module_settings: Settings) -> Settings:
    """A tenant with a rejected event, two files with quarantined lines, a held stage, and odd names in its folder."""
    world = acme(1)
    world.record("subscription.changed", "2023-11-10", {"subscription": "s0", "plan": "por"})
    run(world, module_settings)
    world.record("subscription.changed", "2023-11-11", {"subscription": "s0", "plan": "por"}, id="odd")
    world.record("subscription.changed", "2023-11-12", {}, id="void", replaces="odd")
    world.facts[-1]["data"] = None
    _log(world, Lake(module_settings.lake_url))
    with connect(module_settings, "builder") as connection:
        for name, day, lines in (("a", 1, {"bad_time": 7}), ("b", 2, {"bad_time": 3, "malformed": 4})):
            connection.execute(FILE.format(name, day))
            for reason, count in lines.items():
                connection.execute(QUARANTINED.format(name, reason, count))
        failure = Failure("acme", "out_of_range", "the amount of line usage is out of range")
        held_store.record(connection, "billing", [date(2024, 5, 1)], [failure], tenants=None, run_id="r", at=NOW)
        connection.commit()
    (module_settings.landing / "acme").mkdir(parents=True)
    with connect(module_settings, "builder") as connection:
        connection.execute(
            "insert into billing.release (tenant_id, period, status, reason, decided_at) values"
            " ('acme', '2023-11', 'released', null, now()),"
            " ('acme', '2023-12', 'held', 'lines_add_up: held in May', now()),"
            " ('acme', '2024-01', 'held', 'held_in_billing: out of range', now())"
        )
        connection.execute(
            "insert into inbox.batch (tenant_id, receipt, received_at, body, events, expanded, key_hashes)"
            " values ('acme', gen_random_uuid(), '2024-05-02T00:00:00Z', '', 7, 0, '')"
        )
        connection.execute(
            "select queue.defer('acme', 'webhooks', 'deliver_webhook', key) from unnest('{1,2,3}'::text[]) as key"
        )
        connection.execute("update queue.procrastinate_jobs set status = 'failed' where args ->> 'key' = '1'")
    for name in ("notes.txt", "new.ndjson"):
        (module_settings.landing / "acme" / name).write_text("" if name == "new.ndjson" else "hello")
    return module_settings


def _log(world: World, lake: Lake) -> None:
    """The world's billing events, as ingestion would have written them."""
    facts = world.facts_frame().with_columns(pl.col("time").dt.date().alias("event_date"))
    named = facts.with_columns(pl.lit("").alias(name) for name in ("payload_hash", "file"))
    events = named.with_columns(pl.lit(0, pl.Int64).alias("line"))
    lake.append(EVENTS_TABLE, EVENTS.conform(events, unset=("customer", "subscription")))
    refused = {"tenant": "acme", "file": "acme/b.ndjson", "line": 1, "received_at": NOW, "received_date": NOW.date()}
    rows = [dict.fromkeys(QUARANTINE, "") | refused | {"reason": reason} for reason in ("bad_time", "malformed")]
    lake.append(QUARANTINE_TABLE, pl.DataFrame(rows, QUARANTINE))


def asked(settings: Settings, *arguments: str) -> Any:
    return CliRunner().invoke(app, arguments, env=settings.environment() | {"COLUMNS": "200"})


@pytest.mark.integration
def test_status_counts_what_was_refused_and_what_waits(world: Settings) -> None:
    done = asked(world, "status", "--json")
    found = json.loads(done.stdout)
    assert (done.exit_code, found["needs_attention"]) == (1, True)
    assert [(one["reason"], one["lines"], one["files"], one["newest_file"]) for one in found["quarantined"]] == [
        ("bad_time", 10, 2, "acme/b.ndjson"), ("malformed", 4, 1, "acme/b.ndjson"),
    ]  # fmt: skip
    assert [(one["reason"], one["events"], one["message"]) for one in found["rejected"]] == [
        ("unknown_plan", 1, "no catalog in force then has the plan 'por'")
    ]
    assert [one["name"] for one in found["ignored"]] == ["acme/notes.txt"]
    assert found["untaken"] == ["acme/new.ndjson"]
    waits = {"tenant": "acme", "requests": 1, "events": 7, "oldest": "2024-05-02T00:00:00Z"}
    assert found["inbox"] == [waits]
    assert found["jobs"] == [{"kind": "deliver_webhook", "queue": "webhooks", "waiting": 2, "running": 0, "failed": 1}]
    assert [(one["tenant"], one["stage"]) for one in found["held"]] == [("acme", "billing")]
    assert found["held_months"] == [{"tenant": "acme", "month": "2023-12", "reason": "lines_add_up: held in May"}]
    assert all(one["free"] > 0 for one in found["disk"])
    shown = asked(world, "status").stdout
    for text in (
        "bad_time",
        "por'",
        "notes.txt: its ending",
        "1 landing files wait",
        "7 events of 1 request wait in the inbox",
        "held in billing",
        "acme is held in 2023-12: lines_add_up: held in May",
        "GiB free",
        "deliver_webhook",
    ):
        assert text in shown


@pytest.mark.integration
def test_a_rejected_billing_event_is_explained_with_its_reason(world: Settings) -> None:
    changed, started = (
        json.loads(asked(world, "explain", "event", "test", key, "--tenant", "acme", "--json").stdout)
        for key in ("b2", "b1")
    )
    assert (changed["outcome"], changed["reason"]) == ("rejected", "unknown_plan")
    assert changed["message"] == "no catalog in force then has the plan 'por'"
    assert started["outcome"] == "billing_event"


@pytest.mark.integration
def test_a_billing_event_that_another_one_voided_is_explained_with_that_one(world: Settings) -> None:
    voided, void = (asked(world, "explain", "event", "test", key, "--tenant", "acme").stdout for key in ("odd", "void"))
    assert "that counts no more: voided by the event void, received 2023-11-12T00:00:00Z" in " ".join(voided.split())
    assert "It voids the event odd." in " ".join(void.split())
    answer = json.loads(asked(world, "explain", "event", "test", "odd", "--tenant", "acme", "--json").stdout)
    assert answer["replaced_by"] == {"id": "void", "received_at": "2023-11-12T00:00:00Z", "voids": True}


@pytest.mark.integration
def test_doctor_finds_each_and_every_cure_is_a_command_that_exists(world: Settings) -> None:
    found = replace_overview(read_status(world, NOW))
    findings = [one for one in business_findings(world, found) if one.level != "ok"]
    kinds = (
        "failed once",
        "is held in",
        "landing file is not taken",
        "of partitions",
        "in the inbox",
        "quarantined",
        "rejected",
        "notes",
    )
    for kind in kinds:
        assert [one for one in findings if kind in one.what and "`" in one.cure], kind
    for command in commands_of(findings):
        assert exists(command), command
    assert {words[1] for words in lead_on(world, findings)} == {"events", "explain", "sql"}
    listed = [json.loads(line) for line in asked(world, "doctor", "--json").stdout.splitlines()]
    assert {"wrong", "note", "ok"} == {one["level"] for one in listed}
    for held in ("is held in billing", "is held in 2023-12: lines_add_up"):
        assert any(held in one["what"] for one in listed)
    assert not any("2024-01" in one["what"] for one in listed), "a stage holds that month, and is named for it"


@pytest.mark.integration
def test_what_a_run_says_at_its_end_names_held_months(world: Settings) -> None:
    stage, cure, month, month_cure = held_lines(world)
    assert stage.startswith("tenant acme is held in billing: ")
    assert (month, cure, month_cure) == (
        "tenant acme is held in 2023-12: lines_add_up: held in May", held_store.CURE, held_store.MONTH_CURE,
    )  # fmt: skip


def test_the_cure_of_each_name_that_is_not_taken_leads_on(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", external_landing=tmp_path / "landing")
    folder = settings.landing / "acme"
    for name in ("acme/CAPS.NDJSON", "acme/a b.txt", "acme/sub/a.ndjson", "BAD Tenant/a.ndjson", "stray.ndjson"):
        (settings.landing / name).parent.mkdir(parents=True, exist_ok=True)
        (settings.landing / name).write_text('{"specversion": "1.0"}')
    (settings.landing / "gone").symlink_to("nowhere")
    (folder / "gone.ndjson").symlink_to("nowhere")
    (folder / "other.ndjson").symlink_to("../stray.ndjson")
    os.mkfifo(folder / "pipe.ndjson")
    findings = [one for one in business_findings(settings, read_status(settings, NOW)) if "not taken:" in one.what]
    assert len(findings) == 9
    assert [one for one in findings if not re.search("rename|move|remove|copy|ending is none of", one.what)] == []
    checked = [words for words in lead_on(settings, findings) if words[1] == "events"]
    assert {words[-1].rpartition("/")[2] for words in checked} == {"CAPS.NDJSON", "a b.txt", "stray.ndjson"}


def commands_of(findings: list[Finding]) -> list[list[str]]:
    cures = dict.fromkeys(one.cure for one in findings)
    return [shlex.split(command) for cure in cures for command in re.findall("`([^`]+)`", cure)]


def lead_on(settings: Settings, findings: list[Finding]) -> list[list[str]]:
    """The commands of the cures that only show something; each is run as it is written and answers."""
    ran = []
    for words in commands_of(findings):
        if words[0] == "valueverse" and words[1] in {"events", "explain", "sql", "status"}:
            done = asked(settings, *words[1:])
            assert not isinstance(done.exception, RefusalError), (words, done.exception)
            assert done.stdout, words
            ran.append(words)
    return ran


def replace_overview(found: InstallationStatus) -> InstallationStatus:
    return replace(found, business=replace(found.business, overview=OVERVIEW))


def exists(words: list[str]) -> bool:
    """Whether a command line names a command of ours, and options that it has."""
    if words[:2] == ["python", "-m"]:
        return words[2] == "pipelines.catch_up"
    named = next(one for one in commands() if words[1:][: len(one.split())] == one.split())
    help_ = CliRunner().invoke(app, [*named.split(), "--help"], env={"COLUMNS": "200"}).stdout
    return words[0] == "valueverse" and all(word in help_ for word in words if word.startswith("-"))


def test_status_works_while_servers_are_down_and_says_what_is_not_known(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    (tmp_path / "home" / "landing" / "Acme").mkdir(parents=True)
    done = asked(settings, "status")
    assert done.exit_code == 0
    assert NO_POSTGRES in done.stdout
    assert "Acme: only folders named like a tenant's key" in done.stdout
    found = read_status(settings, NOW)
    assert (found.stages(), found.needs_attention) == ([], False)
    crashed = [Status("api", "crashed", "port 8000")]
    assert replace(found, servers=crashed).needs_attention
    assert [one.level for one in business_findings(settings, found)] == ["note", "wrong"]


def test_watch_refreshes_a_terminal_until_ctrl_c(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[float] = []

    def pause(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", pause)
    monkeypatch.setenv("VALUEVERSE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TERM", "xterm-256color")
    shown = at_terminal(["status", "--watch", "--every", "3"])
    assert (shown.code, looks) == (0, [3, 3])
    assert faults(shown.text) == []
    assert "Ctrl-C ends" in shown.text
    looks.clear()
    with suppress(RefusalError):
        refused = asked(Settings(home=tmp_path / "home"), "status", "--watch")
        assert refused.exception is not None
        raise refused.exception
    assert looks == []


@pytest.mark.integration
def test_doctor_names_erasures_that_a_backup_has_undone_and_a_register_that_cannot_be_read(world: Settings) -> None:
    register(world, "acme", "c 9", NOW)
    (found,) = [one for one in business_findings(world, read_status(world, NOW)) if "undone" in one.what]
    assert (found.level, found.what) == ("wrong", "the erasure of customer 'c 9' of tenant acme has come undone")
    assert "`valueverse privacy erase --tenant acme --customer 'c 9'`" in found.cure
    file = world.audit_dir / "erasures.ndjson"
    file.unlink()
    file.mkdir()
    try:
        status = read_status(world, NOW)
    finally:
        file.rmdir()
    assert [one for one in status.unknown if "erasures" in one and str(file) in one]
    assert status.business.held, "the rest is known"
