"""``valueverse privacy rotate-*`` at a terminal and for programs, on secrets of its own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.protection import own_environment
from tests.support.terminal import at_terminal
from valueverse.platform.protection import Cell, DataKeys, wrapping_of
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    from pathlib import Path

    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration


def test_keys_are_rotated_and_one_that_does_not_unwrap_is_named_with_exit_code_1(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = own_environment(settings, tmp_path, monkeypatch)
    with connect(own, "builder") as connection:
        cells = [(Cell("acme", subject, "vault.probe", "value", ("1",)), b"x") for subject in ("c1", "c2")]
        DataKeys(connection, wrapping_of(own)).seal(cells)
    shown = at_terminal(["privacy", "rotate-wrapping-key", "--retire"])
    assert (shown.code, "2 data keys" in shown.text, "destroyed" in shown.text) == (0, True, True)
    answer = json.loads(at_terminal(["privacy", "rotate-data-keys", "--tenant", "acme", "--json"]).text)
    assert answer == {"tenant": "acme", "subjects": ["c1", "c2"]}
    with connect(own, "builder") as connection:
        connection.execute("update vault.data_key set wrapped = 'local:v9:AAAA' where subject = 'c2' and version = 2")
    broken = at_terminal(["privacy", "rotate-wrapping-key", "--retire"])
    assert (broken.code, "no wrapping key was destroyed" in broken.text) == (1, True)
    answer = json.loads(at_terminal(["privacy", "rotate-wrapping-key", "--json"]).text)
    assert answer == {
        "keys": {"acme": 3},
        "retired": False,
        "unreadable": [{"tenant": "acme", "subject": "c2", "version": 2}],
    }
