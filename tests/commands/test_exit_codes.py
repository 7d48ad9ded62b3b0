"""docs/exit-codes.md: what it lists is what commands end with."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.terminal import at_terminal, commands
from valueverse import cli
from valueverse.services.catalogs import check_catalog

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = (Path(__file__).parents[2] / "docs" / "exit-codes.md").read_text(encoding="utf-8")
CATALOG = "schema: valueverse.catalog/v1\ncurrency: EUR\n"


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def unread(*_: object) -> None:
    raise BrokenPipeError


@pytest.mark.parametrize(
    ("text", "step", "code"),
    [
        (CATALOG, None, 0),
        (CATALOG.replace("EUR", "EURO"), None, 1),
        (None, None, 2),
        (CATALOG, interrupted, 130),
        (CATALOG, unread, 141),
    ],
    ids=["done", "no", "refused", "Ctrl-C", "broken pipe"],
)
def test_a_command_ends_with_the_code_that_is_documented(
    text: str | None, step: Callable[..., None] | None, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "catalog.yaml"
    if text is not None:
        path.write_text(text)
    if step is not None:
        monkeypatch.setattr(check_catalog, "parse_catalog", step)
    assert at_terminal(["catalog", "check", str(path)]).code == code
    assert f"| {code} | " in PAGE


def test_an_argument_that_is_no_text_is_refused_and_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for given, ending in ((["caf\udce9"], SystemExit), ([], UnicodeEncodeError)):
        # Without such an argument the error is one of ours.
        monkeypatch.setattr(sys, "argv", ["valueverse", "catalog", "check", *given])
        monkeypatch.setattr(cli, "app", lambda **_: "caf\udce9".encode())
        with pytest.raises(ending):
            cli.main()
    assert capsys.readouterr().err == "valueverse: the argument 'caf\\udce9' holds bytes that are no UTF-8 [bad_text]\n"


def test_the_help_names_the_page_and_the_page_names_commands_that_exist() -> None:
    assert "docs/exit-codes.md" in at_terminal(["--help"]).text
    table = PAGE.partition("## Commands that end with 1")[2]
    named = {name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall("`([^`]+)`", row)}
    assert named <= set(commands())
    assert {"status", "catalog check", "finance"} <= named
