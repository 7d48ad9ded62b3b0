"""``valueverse ledger``: the journal as a file, from the warehouse and from documents alone."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.services.billing.test_journal_step import booked, world
from tests.support.journal import document, line
from tests.support.people import entries_of
from tests.support.warehouse_billing import run
from valueverse.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable

    from valueverse.platform.settings import Settings

BEAN_CHECK = str(Path(sys.executable).with_name("bean-check"))


@dataclass(frozen=True)
class Done:
    """The exit code of a command, and what it printed."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """``valueverse ledger ARGUMENTS``, on the warehouse of the environment that is given."""

    def called(*arguments: str, environment: dict[str, str] | None = None) -> Done:
        for name, value in (environment or {}).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["valueverse", "ledger", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        return Done(int(end.value.code or 0), *capsys.readouterr())

    return called


def accepts(path: Path) -> bool:
    done = subprocess.run([BEAN_CHECK, str(path)], capture_output=True, text=True, check=False)
    return done.returncode == 0 and done.stdout + done.stderr == ""


def test_documents_alone_make_a_ledger_that_bean_check_accepts(tmp_path: Path, ledger: Callable[..., Done]) -> None:
    source, out = tmp_path / "invoices.ndjson", tmp_path / "out.beancount"
    one = document(1, [line(3100, "2024-02-01", "2024-03-01")], tax=100) | {"customer": "line\u2028separator & Söhne"}
    source.write_text(json.dumps(one, ensure_ascii=False) + "\n\n", encoding="utf-8")
    done = ledger("export", "--from-documents", str(source), "--out", str(out))
    assert (done.returncode, done.stderr) == (0, "")
    assert "2024-02-29" in out.read_text(encoding="utf-8")
    assert accepts(out)
    other = ledger("export", "--from-documents", str(source), "--tenant", "other")
    assert other.returncode == 0
    assert "Invoice" not in other.stdout


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["export", "--format", "ledger-cli"], "unknown_format"),
        (["export", "--from-documents", "FILE"], "bad_document"),
        (["export", "--from-documents", "MISSING"], "unreadable_file"),
        (["export", "--from-documents", "FILE", "--timezone", "Mars/Olympus"], "unknown_timezone"),
    ],
)
def test_what_cannot_be_exported_is_refused_in_one_sentence(
    arguments: list[str], code: str, tmp_path: Path, ledger: Callable[..., Done]
) -> None:
    odd = tmp_path / "odd.ndjson"
    odd.write_text('{"number": 7}\n', encoding="utf-8")
    paths = {"FILE": str(odd), "MISSING": str(tmp_path / "missing")}
    done = ledger(*(paths.get(word, word) for word in arguments))
    assert done.returncode == 2
    assert f"[{code}]" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.integration
def test_the_journal_of_the_warehouse_is_exported_and_checked(
    settings: Settings, tmp_path: Path, ledger: Callable[..., Done]
) -> None:
    run(world(), settings)
    booked(settings, world())
    out = tmp_path / "journal.beancount"
    done = ledger("export", "--tenant", "acme", "--out", str(out), environment=settings.environment())
    assert (done.returncode, done.stderr) == (0, "")
    assert accepts(out)
    assert "Credit granted" in out.read_text(encoding="utf-8")
    (entry,) = entries_of(settings, "journal.exported")
    assert (entry["tenant"], entry["object"], entry["actor"]) == ("acme", "beancount", "system")
    assert entry["digest"] == hashlib.sha256(out.read_bytes()).hexdigest()
    checked = ledger("check", environment=settings.environment())
    assert checked.returncode == 0, checked.stderr
    assert [row.split()[0] for row in checked.stdout.splitlines()] == ["ok"] * 4
    stranger = ledger("check", "--tenant", "nobody", environment=settings.environment())
    assert "[unknown_tenant]" in stranger.stderr


@pytest.mark.integration
def test_a_payment_that_is_not_booked_yet_is_named_by_the_check(
    settings: Settings, ledger: Callable[..., Done]
) -> None:
    run(world(), settings)
    booked(settings, world())
    company = world()
    company.record("payment.received", "2024-01-10", {"invoice": "acme-000001", "amount": "1", "currency": "USD"})
    run(company, settings)
    checked = ledger("check", environment=settings.environment())
    assert checked.returncode == 1
    assert "wrong receivable_is_invoices_less_payments_and_credits" in checked.stdout
    assert "acme c1" in checked.stdout
