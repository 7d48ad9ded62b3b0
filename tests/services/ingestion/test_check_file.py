"""``valueverse events check`` says of a file what ingestion would."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from valueverse.cli import app
from valueverse.errors import RefusalError
from valueverse.services.ingestion.check_file import check_file

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2024, 6, 1, tzinfo=UTC)


def event(**parts: Any) -> str:
    """A usage event of acme as a line."""
    whole = {
        "specversion": "1.0", "id": "1", "source": "s", "type": "request", "subject": "c1", "tenant": "acme",
        "time": "2024-01-01T00:00:00Z", "data": {"n": "1"},
    }  # fmt: skip
    return json.dumps({name: value for name, value in (whole | parts).items() if value is not None})


def reasons(folder: Path, name: str, content: str | bytes, tenant: str | None = "acme") -> list[tuple[Any, ...]]:
    """Reason, number of lines, first line and message of what would not be taken."""
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    found = check_file(path, tenant, NOW)
    return found.reasons.select("reason", "lines", "first_line", "message").rows()


def test_lines_are_judged_as_ingestion_judges_them_and_like_ones_are_counted(tmp_path: Path) -> None:
    lines = [
        event(), event(), event(data={"n": "2"}), event(id="2", time=None), event(id="3", time=None),
        event(id="4", type="billing.customer.created", subject=None, data={"custmer": "c1"}), "no json",
        event(id="5", tenant="birch"),
    ]  # fmt: skip
    found = reasons(tmp_path, "a.ndjson", "\n".join(lines))
    assert [(reason, count, line) for reason, count, line, _ in found] == [
        ("duplicate", 1, 2), ("conflict", 1, 3), ("missing_attribute", 2, 4), ("bad_billing_event", 1, 6),
        ("malformed", 1, 7), ("unknown_tenant", 1, 8),
    ]  # fmt: skip
    assert found[1][3].startswith("line 1 has the same source and id, and other content: the first one counts")


@pytest.mark.parametrize(
    ("name", "content", "cause"),
    [
        ("a.csv", "id;source;type\n1;s;request\n", "its columns are separated by ';'"),
        ("a.csv", "id\tsource\n1\ts\n", "its columns are separated by tabs"),
        ("a.csv", "number,name\n1,s\n", "none of its columns (number, name) is an attribute of an event"),
        ("a.ndjson.gz", event(), "its name ends in .gz and its content is not gzip: rename or compress it"),
        ("a.ndjson.zst", event(), "its name ends in .zst and its content is not zstd: rename or compress it"),
        ("a.ndjson.gz", gzip.compress(event().encode() * 40)[:60], "send it again, whole"),
    ],
)
def test_a_file_that_cannot_be_read_names_the_cause(
    tmp_path: Path, name: str, content: str | bytes, cause: str
) -> None:
    [(reason, _, _, message)] = reasons(tmp_path, name, content)
    assert reason == "unreadable_file"
    assert cause in message


def test_a_file_with_a_byte_order_mark_and_a_compressed_one_are_read(tmp_path: Path) -> None:
    assert reasons(tmp_path, "a.ndjson", "\ufeff" + event()) == []
    assert reasons(tmp_path, "a.ndjson.gz", gzip.compress(event().encode())) == []
    table = '\ufeffspecversion,id,source,type,subject,time,data\n1.0,1,s,request,c1,2024-01-01T00:00:00Z,"{""n"":1}"'
    assert reasons(tmp_path, "a.csv", table) == []


def test_the_tenant_is_the_one_that_events_name_or_the_folder(tmp_path: Path) -> None:
    (tmp_path / "birch").mkdir()
    for content, tenant in ((event(), "acme"), (event(tenant=None), "birch")):
        (tmp_path / "birch" / "a.ndjson").write_text(content)
        assert check_file(tmp_path / "birch" / "a.ndjson", None, NOW).tenant == tenant


def test_a_file_in_the_landing_folder_is_its_folders_whatever_its_events_say(tmp_path: Path) -> None:
    (tmp_path / "birch").mkdir()
    path = tmp_path / "birch" / "a.ndjson"
    path.write_text(event())
    found = check_file(path, None, NOW, tmp_path)
    assert (found.tenant, found.reasons["reason"].to_list()) == ("birch", ["unknown_tenant"])
    assert check_file(path, "acme", NOW, tmp_path).is_clean


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("A.NDJSON", "capitals"),
        ("note.txt", "none of .ndjson"),
        ("a.ndjson.part", "not whole yet: rename it"),
        (".a.csv", "dot"),
    ],
)
def test_a_name_that_ingestion_does_not_take_is_named(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / name).write_text(event())
    found = check_file(tmp_path / name, "acme", NOW)
    assert words in found.problem
    assert not found.is_clean
    assert CliRunner().invoke(app, ["events", "check", str(tmp_path / name)]).exit_code == 1


def test_what_holds_no_event_is_refused_with_its_cure(tmp_path: Path) -> None:
    (tmp_path / "Big").mkdir()
    (tmp_path / "blank.ndjson").write_text("\n \n")
    for name in ("empty.ndjson", "Big/a.ndjson"):
        (tmp_path / name).write_text("" if name.startswith("empty") else event(tenant=None))
    codes = {
        "empty.ndjson": "empty_file",
        "blank.ndjson": "empty_file",
        "missing.ndjson": "no_file",
        "Big/a.ndjson": "no_tenant",
    }
    for name, code in codes.items():
        with pytest.raises(RefusalError) as refused:
            check_file(tmp_path / name, "acme" if code == "empty_file" else None, NOW)
        assert refused.value.code == code


def test_the_command_shows_a_table_or_json_and_says_by_its_exit_code_whether_all_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_text(event() + "\n" + event(id="2"))
    shown = CliRunner().invoke(app, ["events", "check", str(path)])
    assert (shown.exit_code, shown.stdout.splitlines()[0]) == (
        0, "a.ndjson for the tenant acme: 2 of 2 lines would be taken",
    )  # fmt: skip
    path.write_text(event(time=None))
    answer = CliRunner().invoke(app, ["events", "check", str(path), "--json"])
    assert answer.exit_code == 1
    assert json.loads(answer.stdout)["reasons"] == [
        {
            "reason": "missing_attribute",
            "message": "'time' is required: write when it happened, such as 2024-01-31T09:30:00Z",
            "lines": 1,
            "first_line": 1,
            "path": "time",
        }
    ]


def test_a_file_of_the_landing_folder_is_of_its_folders_tenant_who_has_to_be_created(tmp_path: Path) -> None:
    for tenant in ("acme", "birch", "cedar"):
        (tmp_path / tenant).mkdir()
        (tmp_path / tenant / "a.ndjson").write_text(event(tenant=None))
    created = event(id="t", type="billing.tenant.created", subject=None, tenant=None, data={"tenant": "birch"})
    (tmp_path / "birch" / "tenant.ndjson").write_text(created)
    notes = {
        tenant: check_file(tmp_path / tenant / "a.ndjson", None, NOW, tmp_path, "acme").note
        for tenant in ("acme", "birch", "cedar")
    }
    assert [tenant for tenant, note in notes.items() if note] == ["cedar"], "acme is the project's tenant"
    assert "send billing.tenant.created, or a catalog, first" in notes["cedar"]
    elsewhere = check_file(tmp_path / "cedar" / "a.ndjson", "dogwood", NOW, tmp_path, "acme")
    assert (elsewhere.tenant, elsewhere.note) == ("dogwood", "")
