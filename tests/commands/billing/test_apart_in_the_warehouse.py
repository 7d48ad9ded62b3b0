"""Commands on the warehouse go on without a tenant that they fail for: the journal's, and plans to re-rate."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from tests.services.billing.test_journal_step import booked
from tests.support.warehouse_billing import LATER, acme, dearer, run
from valueverse.cli import app
from valueverse.platform.lake import Lake
from valueverse.services.billing import export_journal
from valueverse.services.billing import journal_inputs as books
from valueverse.services.billing import rerate as rerating

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.ledger import World
    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration
SENTENCE = "tenant birch is left out: a number of birch is out of range [arithmetic_error]"


def both() -> World:
    """Acme, and birch with the same keys, sources and ids."""
    company = acme(2)
    for customer in ("c0", "c1"):
        company.record("customer.created", "2023-10-30", {"customer": customer})
    for rows in (company.facts, company.usage):
        rows += [row | {"tenant": "birch"} for row in rows]
    return company


@pytest.fixture(scope="module")
def settings(module_settings: Settings) -> Settings:
    company = both()
    run(company, module_settings)
    booked(module_settings, company)
    return module_settings


def poison(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, place: int) -> None:
    """Let a function fail where birch is among the tenants of its argument at ``place``."""
    works = getattr(module, name)

    def fails(*given: Any, **more: Any) -> Any:
        tenants: Sequence[str] = given[place]["tenant"].to_list() if hasattr(given[place], "columns") else given[place]
        if "birch" in tenants:
            raise ArithmeticError("a number of birch is out of range")
        return works(*given, **more)

    monkeypatch.setattr(module, name, fails)


def ledger(settings: Settings, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Any:
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    return CliRunner().invoke(app, ["ledger", *arguments])


def test_a_check_of_the_books_goes_on(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = ledger(settings, monkeypatch, "check", "--tenant", "acme")
    assert alone.exit_code == 0
    poison(monkeypatch, books, "broken_rules", 1)
    found = ledger(settings, monkeypatch, "check")
    assert (found.exit_code, found.stdout) == (1, alone.stdout)
    assert found.stderr == f"{SENTENCE}\n"


def test_an_export_of_the_books_goes_on(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = ledger(settings, monkeypatch, "export", "--tenant", "acme")
    poison(monkeypatch, export_journal, "export_beancount", 0)
    found = ledger(settings, monkeypatch, "export")
    assert (found.exit_code, found.stdout) == (1, alone.stdout)
    assert "acme" in found.stdout
    assert found.stderr == f"{SENTENCE}\n"


def test_a_plan_to_re_rate_goes_on_and_is_of_the_others_alone(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake(settings.lake_url)

    def planned(*tenants: str) -> Any:
        asked = rerating.RerateRequest(tenants, date(2023, 11, 1), date(2023, 12, 31), (), dearer())
        return rerating.plan(settings, lake, asked, as_of=LATER)

    alone, nobody = planned("acme")
    assert (nobody, len(alone["rows"])) == ([], 2)
    poison(monkeypatch, rerating, "watermarks", 2)
    shown, failures = planned("acme", "birch")
    assert shown == alone
    assert [(one.tenant, one.code) for one in failures] == [("birch", "arithmetic_error")]
