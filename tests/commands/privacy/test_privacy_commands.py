"""``valueverse privacy export | restrict | release | erase`` at a terminal and for programs."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.support.protection import own_environment, take_in_customer
from tests.support.terminal import at_terminal, faults
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    from pathlib import Path

    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration


def test_a_customer_is_held_exported_and_erased_by_commands(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = own_environment(settings, tmp_path, monkeypatch)
    take_in_customer(own, "Ada")
    about = ["--tenant", "acme", "--customer", "c1"]

    held = at_terminal(["privacy", "restrict", *about, "--reason", "dispute 17"])
    assert (held.code, held.text.strip()) == (0, "data of c1 is on hold")
    assert "already" in at_terminal(["privacy", "restrict", *about, "--reason", "more"]).text
    listed = at_terminal(["privacy", "restrictions", "--tenant", "acme"])
    assert (faults(listed.text), "dispute 17" in listed.text) == ([], True)
    refused = at_terminal(["privacy", "erase", *about])
    assert (refused.code, "[restricted]" in refused.text) == (2, True)

    out = tmp_path / "c1.zip"
    shown = at_terminal(["privacy", "export", *about, "--out", str(out)])
    assert (shown.code, "lake.events.ndjson" in shown.text) == (0, True)
    answer = json.loads(at_terminal(["privacy", "export", *about, "--out", str(out), "--json"]).text)
    with zipfile.ZipFile(out) as archive:
        assert json.loads(archive.read("manifest.json"))["parts"] == answer["parts"]
    assert (answer["restricted"], len(answer["digest"])) == (True, 64)
    nowhere = at_terminal(["privacy", "export", *about, "--out", "/nowhere/c1.zip"])
    assert (nowhere.code, "[cannot_write]" in nowhere.text) == (2, True)

    assert at_terminal(["privacy", "release", *about]).code == 0
    erased = at_terminal(["privacy", "erase", *about])
    assert (erased.code, faults(erased.text), "acme/a.ndjson" in erased.text) == (0, [], True)
    again = json.loads(at_terminal(["privacy", "erase", *about, "--json"]).text)
    assert (again["rows"]["lake.events"], again["deliveries"], again["retain_until"]) == (1, [], None)
    assert at_terminal(["privacy", "end-retention", "--json"]).text.strip() == ""
    nothing = at_terminal(["privacy", "instruments", "--tenant", "acme", "--json"])
    assert (nothing.code, nothing.text.strip()) == (0, "")


def test_lists_mark_who_is_on_hold_and_a_number_is_read_from_standard_input_and_answered_by_a_token(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = own_environment(settings, tmp_path, monkeypatch)
    with connect(own, "builder") as connection:
        connection.execute("insert into billing.tenant (tenant_id, timezone, currency) values ('acme', 'UTC', 'EUR')")
        connection.execute("insert into billing.customer (tenant_id, customer) values ('acme', 'c1')")
    for status, command in (("recorded", "restrict"), ("restricted", "release")):
        assert json.loads(at_terminal(["customers", "list", "--json"]).text)["status"] == status
        reason = ["--reason", "dispute"] if command == "restrict" else []
        assert at_terminal(["privacy", command, "--tenant", "acme", "--customer", "c1", *reason]).code == 0
    add = ["privacy", "add-instrument", "--tenant", "acme", "--customer", "c1"]
    token = at_terminal(add, "4111 1111 1111 1111\n").text.strip().splitlines()[-1].strip()
    assert token.startswith("tok_")
    assert "[bad_number]" in at_terminal(add, "\n").text
    listed = at_terminal(["privacy", "instruments", "--tenant", "acme"])
    assert (faults(listed.text), "1111" in listed.text) == ([], True)
    revealed = at_terminal(["privacy", "reveal-instrument", token, "--tenant", "acme", "--reason", "refund", "--json"])
    assert json.loads(revealed.text)["number"] == "4111111111111111"
    assert at_terminal(["privacy", "remove-instrument", token, "--tenant", "acme"]).code == 0
    gone = at_terminal(["privacy", "remove-instrument", token, "--tenant", "acme"])
    assert (gone.code, "[unknown_token]" in gone.text) == (2, True)
