"""The audit log in Postgres: what is done is in it, and what an owner of the database changes shows."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import rfc8785

from tests.support import billing_rows
from tests.support.audit_log import ACME, MINE, REBUILD, as_owner, seeded
from valueverse.errors import RefusalError
from valueverse.platform.access.api_keys import issue_api_key
from valueverse.platform.access.secrets import audit_key
from valueverse.platform.warehouse import connect
from valueverse.services.audit.checkpoints import notes, public_key
from valueverse.services.audit.sequence_entries import newest_waiting, sequence_entries
from valueverse.services.audit.sign_log import sign_log
from valueverse.services.audit.verify_log import (
    export_log,
    exported,
    read_log,
    verified_logs,
    verify_document,
    verify_log,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from valueverse.platform.settings import Settings

__all__ = ["seeded"]
pytestmark = pytest.mark.integration


def _entries(settings: Settings, tenant: str = ACME) -> list[dict[str, Any]]:
    return [json.loads(entry) for entry in read_log(settings, tenant).entries]


def _layers(settings: Settings, tenant: str = ACME) -> set[str]:
    return {one.layer for _, found in verified_logs(settings, [tenant]) for one in found}


def test_every_finalised_invoice_is_in_its_tenants_log_and_drafts_are_not(seeded: Settings) -> None:
    with connect(seeded, "builder") as connection:
        numbers = connection.execute(
            "select tenant_id, number, content_hash from billing.invoice where status = 'finalised'"
        ).fetchall()
    logged = [
        (entry["tenant"], entry["object"], entry["digest"])
        for tenant in billing_rows.TENANTS
        for entry in _entries(seeded, tenant)
        if entry["action"] == "invoice.finalised"
    ]
    assert sorted(logged) == sorted(tuple(row) for row in numbers)


def test_entries_are_canonical_json_whatever_names_they_hold(settings: Settings) -> None:
    name = 'Zoë "\\/\b\f\n\r\t\x1f\x7f\u2028𝄞 é'
    with connect(settings, "admin") as connection:
        text = connection.execute(
            "select audit.entry_text('acme', 'fee.accepted', %s, '', 'system')", [name]
        ).fetchone()
    assert text is not None
    fields = json.loads(text[0])
    assert fields["object"] == name
    assert rfc8785.dumps(fields) == text[0].encode()


def test_keys_are_logged_when_they_are_made_and_revoked_and_never_by_their_secret(seeded: Settings) -> None:
    with connect(seeded, "builder") as connection:
        key = issue_api_key(connection, ACME, ["audit:read"])
        prefix = key.split("_")[1]
        connection.execute("update auth.api_key set revoked_at = now() where prefix = %s", [prefix])
    sign_log(seeded, whole=False)
    mine = [entry for entry in _entries(seeded) if entry["object"] == prefix]
    assert [entry["action"] for entry in mine] == ["api_key.created", "api_key.revoked"]
    assert mine[0]["digest"] == hashlib.sha256(b"audit:read").hexdigest()
    assert key.split("_")[2] not in json.dumps(mine)


def test_people_are_pseudonyms_that_differ_between_tenants_and_stay_the_same_within_one(settings: Settings) -> None:
    with connect(settings, "admin") as connection:
        [(one, again, other)] = connection.execute(
            "select audit.pseudonym('acme', 'Ann'), audit.pseudonym('acme', 'Ann'), audit.pseudonym('birch', 'Ann')"
        ).fetchall()
    assert one == again != other
    assert one.startswith("p:")
    assert "Ann" not in one


def test_a_change_that_is_rolled_back_leaves_no_entry(seeded: Settings) -> None:
    with connect(seeded, "builder") as connection:
        issue_api_key(connection, ACME)
        connection.rollback()
    assert newest_waiting(seeded) is None


def test_a_change_takes_no_lock_that_another_waits_for(seeded: Settings) -> None:
    with connect(seeded, "builder") as first, connect(seeded, "builder") as second:
        issue_api_key(first, ACME)
        second.execute("set lock_timeout = '2s'")
        issue_api_key(second, ACME)
        second.commit()
        assert sequence_entries(seeded) == {ACME: 1}
        first.commit()
    assert sequence_entries(seeded) == {ACME: 1}
    assert _layers(seeded) == set()


def test_two_that_put_entries_in_order_at_once_make_one_chain(seeded: Settings) -> None:
    with connect(seeded, "builder") as connection:
        for _ in range(20):
            issue_api_key(connection, ACME)
    before = len(_entries(seeded))
    threads = [threading.Thread(target=sequence_entries, args=[seeded]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(_entries(seeded)) == before + 20
    assert _layers(seeded) == set()


def test_a_checkpoint_is_written_once_per_growth(seeded: Settings) -> None:
    assert len(notes(seeded, ACME)) == 1
    assert sign_log(seeded, whole=True).signed == {}
    with connect(seeded, "builder") as connection:
        issue_api_key(connection, ACME)
    assert list(sign_log(seeded, whole=False).signed) == [ACME]
    assert len(notes(seeded, ACME)) == 2


@pytest.mark.parametrize(
    "statement",
    [
        "update audit.entry set entry = entry",
        "delete from audit.entry",
        "truncate audit.entry",
        "update audit.checkpoint set note = ''",
        "delete from audit.checkpoint",
        "truncate audit.checkpoint",
    ],
)
def test_nobody_changes_entries_even_as_a_superuser_without_taking_the_trigger_away(
    seeded: Settings, statement: str
) -> None:
    with connect(seeded, "admin") as connection, pytest.raises(psycopg.errors.RestrictViolation):
        connection.execute(statement)


_REWRITE = """
do $$
declare
    one record;
    before bytea := sha256(convert_to(E'audit-chain/v1\\nacme', 'UTF8'));
begin
    for one in select * from audit.entry where tenant_id = 'acme' order by sequence loop
        before := sha256('\\x02'::bytea || before || sha256('\\x00'::bytea || convert_to(one.entry, 'UTF8')));
        update audit.entry set chain_hash = before where tenant_id = 'acme' and sequence = one.sequence;
    end loop;
end $$"""
_FIRST = "where tenant_id = 'acme' and sequence = 1"
_EDIT = f"update audit.entry set entry = replace(entry, 'system', 'nobody') {_FIRST}"
_SPLICE = f"update audit.entry set entry = (select entry from audit.entry where tenant_id = 'birch' limit 1) {_FIRST}"
_HIGHEST = "where tenant_id = 'acme' and (level, place) = (2, 0)"
_OTHER_NODE = f"update audit.node set hash = (select hash from audit.node where tenant_id = 'birch' limit 1) {_HIGHEST}"
TAMPERED: dict[str, tuple[tuple[str, ...], set[str]]] = {
    "an entry is edited": ((_EDIT,), {"chain", "tree", "checkpoint"}),
    "an entry is edited and the whole chain computed again": ((_EDIT, _REWRITE), {"tree", "checkpoint"}),
    "an entry is edited, chain and nodes computed again": ((_EDIT, _REWRITE, *REBUILD), {"checkpoint"}),
    "a node of the tree is changed": ((f"update audit.node set hash = sha256(hash) {_HIGHEST}",), {"tree"}),
    "a node of the tree is deleted": ((f"delete from audit.node {_HIGHEST}",), {"tree"}),
    "a node of another tenant's tree takes the place of one": ((_OTHER_NODE,), {"tree"}),
    "the last entry is deleted": (
        (f"delete {MINE} and sequence = (select max(sequence) {MINE})",),
        {"tree", "checkpoint"},
    ),
    "the first entry is deleted": ((f"delete {MINE} and sequence = 1",), {"entry", "chain", "tree", "checkpoint"}),
    "everything is deleted": ((f"delete {MINE}",), {"tree", "checkpoint"}),
    "an entry of another tenant takes the place of one": ((_SPLICE, _REWRITE), {"entry", "tree", "checkpoint"}),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_what_an_owner_of_the_database_does_to_the_log_is_found_and_never_signed(seeded: Settings, what: str) -> None:
    statements, layers = TAMPERED[what]
    as_owner(seeded, *statements)
    with connect(seeded, "builder") as connection:
        issue_api_key(connection, ACME)
        issue_api_key(connection, "birch")
    done = sign_log(seeded, whole=True)
    assert set(done.findings["tenant"]) == {ACME}
    # New entries fill the end up again: what was there before is known by the checkpoint.
    assert set(done.findings["layer"]) >= layers & {"tree", "checkpoint"}
    assert list(done.signed) == ["birch"], "one tenant's broken log must not keep another's from being signed"


@pytest.mark.parametrize("what", TAMPERED)
def test_the_layer_that_is_named_finds_it(seeded: Settings, what: str) -> None:
    statements, layers = TAMPERED[what]
    as_owner(seeded, *statements)
    assert _layers(seeded) == layers
    assert _layers(seeded, "birch") == set()


def _export(settings: Settings, folder: Path, **changed: Any) -> Path:
    file = folder / "acme.json"
    file.write_text(json.dumps(exported(settings, ACME) | changed), encoding="utf-8")
    return file


def test_an_export_is_verified_without_a_database(seeded: Settings, tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_text(public_key(seeded), encoding="utf-8")
    bundle, findings = verify_document(_export(seeded, tmp_path), key)
    assert (bundle.tenant, findings) == (ACME, [])
    document = exported(seeded, ACME)
    shorter = {name: document[name][:-1] for name in ("entries", "chain")}
    assert [one.layer for one in verify_document(_export(seeded, tmp_path, **shorter), key)[1]] == ["checkpoint"]


def test_an_exported_log_is_an_entry_of_it_with_the_hash_of_the_file(seeded: Settings) -> None:
    before = read_log(seeded, ACME)
    text = export_log(seeded, ACME)
    assert json.loads(text) == exported(seeded, ACME)
    sign_log(seeded, whole=False)
    entry = _entries(seeded)[-1]
    assert len(_entries(seeded)) == len(before.entries) + 1
    assert (entry["action"], entry["object"]) == ("audit_log.exported", before.origin)
    assert entry["digest"] == hashlib.sha256(text.encode()).hexdigest()


def test_an_export_holds_what_is_signed_alone(seeded: Settings, tmp_path: Path) -> None:
    signed = len(_entries(seeded))
    with connect(seeded, "builder") as connection:
        issue_api_key(connection, ACME)
    sequence_entries(seeded)
    assert verify_log(seeded, ACME)[2] == 1
    bundle, findings = verify_document(_export(seeded, tmp_path), None)
    assert (len(bundle.entries), findings) == (signed, [])


def test_an_export_whose_checkpoints_were_taken_out_does_not_hold(seeded: Settings, tmp_path: Path) -> None:
    for changed in ({"checkpoints": []}, {"checkpoints": [], "entries": [], "chain": []}):
        findings = verify_document(_export(seeded, tmp_path, **changed), None)[1]
        assert [(one.layer, one.sequence) for one in findings] == [("checkpoint", 1)]


def test_an_export_that_ends_at_an_older_checkpoint_fails_against_a_newer_one(seeded: Settings, tmp_path: Path) -> None:
    older = exported(seeded, ACME)
    with connect(seeded, "builder") as connection:
        issue_api_key(connection, ACME)
    sign_log(seeded, whole=False)
    note = tmp_path / "note"
    note.write_text(notes(seeded, ACME)[-1], encoding="utf-8")
    assert verify_document(_export(seeded, tmp_path), None, note)[1] == []
    assert verify_document(_export(seeded, tmp_path, **older), None)[1] == []
    assert [one.reason for one in verify_document(_export(seeded, tmp_path, **older), None, note)[1]] == [
        f"entries are missing: the log has {len(older['entries'])}"
    ]


def test_a_log_is_exported_once_it_is_signed(settings: Settings) -> None:
    billing_rows.seed(settings)
    sequence_entries(settings)
    with pytest.raises(RefusalError) as refused:
        exported(settings, ACME)
    assert refused.value.code == "not_signed"


@pytest.mark.parametrize(
    ("write", "code"),
    [
        (lambda file, _key: file.write_text("{}"), "bad_audit_export"),
        (lambda file, _key: file.write_text("no json"), "bad_audit_export"),
        (lambda file, _key: file.write_text(file.read_text().replace("/v1", "/v2")), "bad_audit_export"),
        (lambda file, _key: file.unlink(), "unreadable_file"),
        (lambda _file, key: key.write_text("no key"), "bad_public_key"),
    ],
    ids=["no fields", "no JSON", "another schema", "no file", "no key"],
)
def test_an_export_that_is_none_is_refused_by_name(
    settings: Settings, tmp_path: Path, write: Callable[[Path, Path], object], code: str
) -> None:
    file, key = tmp_path / "log.json", tmp_path / "key.pem"
    empty: dict[str, Any] = {"schema": "valueverse.audit/v1", "tenant": "acme", "origin": "valueverse/audit/acme"}
    empty |= {"entries": [], "chain": [], "checkpoints": []}
    file.write_text(json.dumps(empty), encoding="utf-8")
    key.write_text(public_key(settings), encoding="utf-8")
    write(file, key)
    with pytest.raises(RefusalError) as refused:
        verify_document(file, key)
    assert refused.value.code == code
    assert str(tmp_path) in refused.value.message


def test_a_tenant_without_a_log_is_refused_with_the_name_that_was_meant(seeded: Settings) -> None:
    with pytest.raises(RefusalError) as refused:
        read_log(seeded, "acmee")
    assert (refused.value.code, refused.value.suggestion) == ("no_audit_log", "acme")


@pytest.mark.parametrize(("hindrance", "hindered"), [("unreadable", ACME), ("unwritable", "newcomer")])
def test_checkpoints_of_one_tenant_that_are_unusable_stop_no_other_tenants(
    seeded: Settings, hindrance: str, hindered: str
) -> None:
    tenants = sorted({*billing_rows.TENANTS, hindered})
    with connect(seeded, "builder") as connection:
        for tenant in tenants:
            issue_api_key(connection, tenant)
    file = seeded.audit_dir / f"{hindered}.checkpoints"
    before = file.read_text() if file.exists() else ""
    file.unlink(missing_ok=True)
    if hindrance == "unreadable":
        file.mkdir()
    else:
        file.symlink_to(seeded.audit_dir / "nowhere" / "file")
    done = sign_log(seeded, whole=True)
    assert sorted(done.signed) == [tenant for tenant in tenants if tenant != hindered]
    (found,) = done.findings.iter_rows(named=True)
    assert (found["tenant"], found["layer"]) == (hindered, "checkpoint")
    assert str(seeded.audit_dir) in found["reason"]
    if hindrance == "unreadable":
        file.rmdir()
    else:
        file.unlink()
    file.write_text(before)
    assert list(sign_log(seeded, whole=True).signed) == [hindered]
    assert verify_log(seeded, hindered)[1] == []


def test_a_folder_of_checkpoints_that_is_none_is_named(seeded: Settings) -> None:
    shutil.rmtree(seeded.audit_dir)
    seeded.audit_dir.write_text("a file")
    with pytest.raises(RefusalError) as refused:
        sign_log(seeded, whole=True)
    assert (refused.value.code, refused.value.path) == ("audit_folder_unusable", "VALUEVERSE_AUDIT_DIR")


def test_a_signing_key_that_is_none_is_named(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "audit_signing").write_text("no key")
    with pytest.raises(RefusalError) as refused:
        audit_key(tmp_path)
    assert refused.value.code == "secret_unreadable"
    assert settings.secrets_dir != tmp_path
