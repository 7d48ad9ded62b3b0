"""Files to answers: a tenant beside others has, byte for byte, what it has in a warehouse of its own."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from tests.support import shared_servers
from tests.support.companies import Company
from tests.support.company_files import RUNS, rows_of, run_all
from tests.support.ledger import instant
from tests.support.serving import serving
from valueverse.cli import app
from valueverse.commands.explaining import explain_invoice
from valueverse.commands.rerating import Asked, plan
from valueverse.platform.keys import issue_api_key
from valueverse.platform.lake import Lake
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from valueverse.platform.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

SEEDS = (7, 6, 8)
MINE = "t0007"
WITHOUT = ("run_id", "checked_at", "decided_at", "created_at", "updated_at", "released_at", "published_at")
"""When and by which run a row was written: all that may differ."""
CACHES = {"billing.accounted_month"}
"""Says which files of the lake a month was accounted from, and those hold rows of all tenants: no result."""


@dataclass
class Houses:
    """A warehouse with one tenant, and one with all."""

    alone: Settings
    together: Settings


@pytest.fixture(scope="module")
def houses(servers: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Houses]:
    worlds = [Company(f"t{seed:04}", seed).world for seed in SEEDS]
    fresh = [
        shared_servers.fresh(servers, f"t_{secrets.token_hex(6)}", tmp_path_factory.mktemp(name), number)
        for name, number in (("alone", 30), ("together", 31))
    ]
    alone, together = (next(each) for each in fresh)
    run_all(alone, worlds[:1])
    run_all(together, worlds)
    yield Houses(alone, together)
    for each in fresh:
        next(each, None)


def test_every_row_of_billing_journal_and_marts_is_the_same(houses: Houses) -> None:
    alone = rows_of(houses.alone, MINE, WITHOUT)
    together = rows_of(houses.together, MINE, WITHOUT)
    filled = {name for name, rows in alone.items() if rows}
    assert filled >= {
        "billing.invoice", "billing.invoice_line", "billing.invoice_credit", "billing.invoice_discount",
        "billing.journal_posting", "billing.usage_daily", "billing.event_day", "marts.fct_invoice",
        "marts.fct_invoice_line", "marts.fct_journal", "marts.fct_usage_daily", "marts.dim_customer",
    }  # fmt: skip
    assert {name: rows for name, rows in together.items() if name not in CACHES and rows != alone[name]} == {}
    assert rows_of(houses.together, "t0006", WITHOUT)["billing.invoice"]


@pytest.mark.anyio
async def test_every_answer_of_the_api_is_the_same(houses: Houses) -> None:
    found = [await _answers(settings) for settings in (houses.alone, houses.together)]
    assert len(found[0]) > 6
    assert found[0] == found[1]


async def _answers(settings: Settings) -> dict[str, str]:
    with connect(settings, "builder") as connection:
        key = issue_api_key(connection, MINE)
        connection.commit()
    found: dict[str, str] = {}
    async with serving(settings, {MINE: key}) as api:

        async def ask(path: str, **query: Any) -> Any:
            answer = await api.get(MINE, path, **query)
            assert answer.status_code == 200, answer.text
            found[f"{path} {query}"] = answer.text
            return answer.json()

        for row in (await ask("/v1/invoices"))["data"]:
            if row["number"]:
                await ask(f"/v1/invoices/{row['number']}")
        for row in (await ask("/v1/customers"))["data"]:
            await ask(f"/v1/customers/{row['customer']}/usage", **{"from": "2024-01-01", "to": "2024-05-01"})
    return found


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def test_what_is_explained_re_rated_and_exported_is_the_same(houses: Houses, monkeypatch: pytest.MonkeyPatch) -> None:
    said = []
    for settings in (houses.alone, houses.together):
        lake = Lake(settings.lake_url)
        asked = Asked((MINE,), date(2023, 12, 1), date(2024, 6, 1), (), None)
        with connect(settings, "builder") as connection:
            numbers = connection.execute(
                "select number from billing.invoice where tenant_id = %s and number is not null order by 1", [MINE]
            ).fetchall()
            explained = [explain_invoice(connection, lake, number, None, 50) for (number,) in numbers]
        rerated = plan(settings, lake, asked, as_of=instant(RUNS[-1]))
        for name, value in settings.environment().items():
            monkeypatch.setenv(name, value)
        exported = CliRunner().invoke(app, ["ledger", "export", "--format", "beancount", "--tenant", MINE])
        assert exported.exit_code == 0, exported.output
        said.append((explained, rerated, exported.stdout))
    assert len(said[0][0]) > 3
    assert said[0] == said[1]
