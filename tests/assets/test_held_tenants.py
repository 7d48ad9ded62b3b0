"""One tenant never stops another: whoever a stage fails for is held and shown, the others come out byte for byte."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg
import psycopg
import pytest

from assets.billing import INVOICES
from assets.held import CHECK
from assets.partitions import range_tags
from pipelines.catch_up import QUIET
from pipelines.definitions import defs
from tests.support import shared_servers
from tests.support.many_tenants import NAMES, company, fill, tenants
from valueverse.platform.lake import Lake
from valueverse.platform.stores import held_store
from valueverse.platform.warehouse import connect
from valueverse.services.billing import run_billing as billing_step

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.support.ledger import World
    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration

RUNS = {"billing": ("2023-11-01", "2024-01-01")}
TABLES = {
    "billing.invoice": "number, sequence, status, document, content_hash, previous_hash, chain_hash",
    "billing.invoice_line": "line_no, key, amount_precise, amount_minor",
    "billing.customer": "customer, name",
    "billing.subscription": "subscription, customer, plan, status",
    "billing.usage_daily": "customer, meter, day, quantity",
    "billing.event_day": "day, accepted, billed, unbilled",
    "billing.invoice_sequence": "last_sequence, last_hash",
}
CONFIG = {"as_of": "2024-06-01T00:00:00Z"}


@pytest.fixture(scope="module")
def world(module_settings: Settings) -> Iterator[Settings]:
    """Settings of this module's world, also for code that reads the environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in module_settings.environment().items():
            patch.setenv(name, value)
        yield module_settings


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as found:
        yield found


def run(instance: dg.DagsterInstance, stage: str) -> dg.ExecuteInProcessResult:
    config = {"ops": {"billing__invoices": {"config": CONFIG}, "billing__journal": {"config": CONFIG}}}
    return defs.resolve_job_def(f"{stage}_job").execute_in_process(
        run_config={**QUIET, **config}, instance=instance, tags=range_tags(*RUNS[stage]), raise_on_error=False
    )


def written(settings: Settings, without: Mapping[str, World]) -> dict[str, list[tuple[Any, ...]]]:
    """What the warehouse holds of all tenants but these, in a fixed order."""
    with connect(settings, "builder") as connection:
        return {
            table: connection.execute(
                f"select tenant_id, {columns} from {table} where not tenant_id = any(%s) order by tenant_id, {columns}",
                [list(without)],
            ).fetchall()
            for table, columns in TABLES.items()
        }


def held(settings: Settings) -> list[tuple[str, str, str]]:
    with connect(settings, "builder") as connection:
        return [(row["tenant"], row["stage"], row["code"]) for row in held_store.held(connection).iter_rows(named=True)]


def shown(result: dg.ExecuteInProcessResult, asset: dg.AssetKey) -> tuple[str, bool]:
    """``outcome`` in the asset's metadata, and whether its check of held tenants passed."""
    outcomes = {
        str(event.materialization.metadata["outcome"].value)
        for event in result.get_asset_materialization_events()
        if event.asset_key == asset
    }
    (check,) = [
        one for one in result.get_asset_check_evaluations() if one.check_name == CHECK and one.asset_key == asset
    ]
    return outcomes.pop(), check.passed


def far_grace() -> World:
    world = company()
    world.record("tenant.updated", "2023-02-01", {"grace": "999999 weeks"})
    return world


def nul_in_a_name() -> World:
    world = company()
    world.record("customer.created", "2023-02-01", {"customer": "c0", "name": "a\0b"})
    return world


POISONED = {"t03": far_grace, "t12": nul_in_a_name}


@pytest.fixture(scope="module")
def alone(servers: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A world in which the poisoned tenants never were, billed."""
    worlds = shared_servers.fresh(servers, "t_without_the_poisoned", tmp_path_factory.mktemp("alone"), 62)
    settings = next(worlds)
    lake = Lake(settings.lake_url)
    fill(lake, tenants(without=POISONED))
    moment = datetime(2024, 6, 1, tzinfo=UTC)
    billing_step.bill(settings, lake, date(2023, 11, 1), date(2024, 1, 1), as_of=moment, run_id="alone")
    yield settings
    next(worlds, None)


def test_the_others_are_billed_to_the_byte_and_the_poisoned_are_held_until_they_are_mended(
    world: Settings, alone: Settings, instance: dg.DagsterInstance
) -> None:
    lake = Lake(world.lake_url)
    fill(lake, tenants({name: poison() for name, poison in POISONED.items()}))
    result = run(instance, "billing")
    assert result.success
    assert shown(result, INVOICES) == ("finished, 2 tenants held", False)
    assert held(world) == [
        ("t03", "billing", "overflow_error"),
        ("t12", "billing", "character_not_in_repertoire"),
    ]
    found = written(world, POISONED)
    assert found == written(alone, POISONED)
    assert len(found["billing.invoice"]) == 3 * 2 * (len(NAMES) - 2)
    assert {row[0] for row in written(world, {})["billing.invoice"]} == set(NAMES) - set(POISONED)

    fill(lake, tenants({"t12": nul_in_a_name()}))
    result = run(instance, "billing")
    assert shown(result, INVOICES) == ("finished, 1 tenant held", False)
    assert held(world) == [("t12", "billing", "character_not_in_repertoire")]

    fill(lake, tenants())
    result = run(instance, "billing")
    assert shown(result, INVOICES) == ("finished", True)
    assert held(world) == []
    assert written(world, POISONED) == found
    assert len(written(world, {})["billing.invoice"]) == 3 * 2 * len(NAMES)


def test_a_server_that_goes_away_fails_the_run_and_holds_nobody(
    world: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: Any) -> None:
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    fill(Lake(world.lake_url), tenants())
    monkeypatch.setattr(billing_step.store, "insert_invoices", gone)
    result = run(instance, "billing")
    assert not result.success
    assert held(world) == []


def test_a_panic_in_the_middle_of_writing_leaves_nothing_of_its_tenant(
    world: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    from polars.exceptions import PanicException

    advance = billing_step.store.advance_sequences

    def panic(connection: Any, last: dict[str, Any]) -> None:
        advance(connection, last)
        if "t05" in last:
            raise PanicException("index out of bounds")

    fill(Lake(world.lake_url), tenants())
    run(instance, "billing")
    before = written(world, {})
    monkeypatch.setattr(billing_step.store, "advance_sequences", panic)
    result = run(instance, "billing")
    assert shown(result, INVOICES) == ("finished, 1 tenant held", False)
    assert held(world) == [("t05", "billing", "native_panic")]
    assert written(world, {}) == before
    monkeypatch.undo()
