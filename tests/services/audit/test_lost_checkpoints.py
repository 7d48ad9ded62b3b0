"""Checkpoints that are gone from outside of the database, or from it: each of the two shows what the other lacks."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.support.audit_log import ACME, MINE, REBUILD, as_owner, seeded
from valueverse.platform.access.api_keys import issue_api_key
from valueverse.platform.warehouse import connect
from valueverse.services.audit.checkpoints import notes
from valueverse.services.audit.sign_log import sign_log
from valueverse.services.audit.verify_log import read_log, verify_log

if TYPE_CHECKING:
    from pathlib import Path

    from valueverse.platform.settings import Settings

__all__ = ["seeded"]
pytestmark = pytest.mark.integration


def _lose_file(file: Path) -> None:
    file.unlink()


def _empty_file(file: Path) -> None:
    file.write_text("")


def _older_backup(file: Path) -> None:
    text = file.read_text()
    file.write_text(text[: text.index("\nvalueverse/audit/") + 1])


def _file_of_birch(file: Path) -> None:
    shutil.copy(file.with_name("birch.checkpoints"), file)


LAST = (f"delete {MINE} and sequence = (select max(sequence) {MINE})", *REBUILD)


def test_checkpoints_that_are_gone_from_outside_of_the_database_are_found_and_nothing_is_signed(
    seeded: Settings,
) -> None:
    with connect(seeded, "builder") as connection:
        issue_api_key(connection, ACME)
    sign_log(seeded, whole=False)
    file = seeded.audit_dir / f"{ACME}.checkpoints"
    whole = file.read_text()
    assert (len(notes(seeded, ACME)), verify_log(seeded, ACME)[1]) == (2, [])
    for statements in ((), LAST):
        as_owner(seeded, *statements)
        for lose in (_lose_file, _empty_file, _older_backup, _file_of_birch):
            lose(file)
            found = verify_log(seeded, ACME)[1]
            assert {one.layer for one in found} == {"checkpoint"}, lose
            assert any("bring back the file" in one.reason for one in found), lose
            assert any("entries are missing" in one.reason for one in found) == bool(statements), lose
            file.write_text(whole)
    _lose_file(file)
    with connect(seeded, "builder") as connection:
        issue_api_key(connection, ACME)
    assert sign_log(seeded, whole=False).signed == {}


def test_a_log_whose_entries_file_and_stored_checkpoints_are_gone_fails_against_a_note_that_somebody_holds(
    seeded: Settings, tmp_path: Path
) -> None:
    note = tmp_path / "note"
    note.write_text(notes(seeded, ACME)[-1], encoding="utf-8")
    assert verify_log(seeded, ACME, note)[1] == []
    (seeded.audit_dir / f"{ACME}.checkpoints").unlink()
    with connect(seeded, "admin") as connection:
        connection.execute("drop trigger insert_only on audit.checkpoint")
        connection.execute("delete from audit.checkpoint where tenant_id = 'acme'")
    as_owner(seeded, *LAST)
    assert verify_log(seeded, ACME)[1] == [], "nothing is left to compare with: docs/audit.md says so"
    assert [one.layer for one in verify_log(seeded, ACME, note)[1]] == ["checkpoint"]


def test_checkpoints_of_before_the_database_stored_them_are_stored_with_the_next(seeded: Settings) -> None:
    with connect(seeded, "admin") as connection:
        connection.execute("alter table audit.checkpoint disable trigger insert_only")
        connection.execute("delete from audit.checkpoint")
        connection.execute("alter table audit.checkpoint enable always trigger insert_only")
    assert verify_log(seeded, ACME)[1] == []
    with connect(seeded, "builder") as connection:
        issue_api_key(connection, ACME)
    sign_log(seeded, whole=False)
    assert list(read_log(seeded, ACME).stored) == notes(seeded, ACME)
    assert len(notes(seeded, ACME)) == 2
