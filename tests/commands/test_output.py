"""Tables for people: cells stay in their place, whatever text they hold and however narrow the terminal is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from valueverse.commands.output import show_table

if TYPE_CHECKING:
    import pytest

HOSTILE = "a\nacme\tAcme\x1b[31m é"


def test_a_text_in_a_cell_makes_no_rows_or_columns_of_others(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(["tenant", "name"], [["acme", HOSTILE]])
    assert capsys.readouterr().out.splitlines()[1].rstrip() == "acme    a\\nacme\\tAcme\\x1b[31m é"


def test_no_line_of_a_table_is_wider_than_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    scopes = "audit:read,billing:read,events:write,usage:read,value:read"
    rows = [["acme", "Acme and Sons " * 9, "Europe/Berlin", "EUR", "k3x9q2m4ab7c", scopes, "x" * 200, "revoked"]]
    show_table(["tenant", "name", "timezone", "currency", "key", "scopes", "purpose", "state"], rows)
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    assert "".join(printed.split()).count("x") >= 200
