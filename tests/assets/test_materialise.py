"""Every asset on a temporary instance and real Postgres: a range, the same again, some tenants only."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import anyio
import dagster as dg
import polars as pl
import pytest
from click.testing import CliRunner
from dagster._cli import create_dagster_cli

from assets.asset_helpers import newest
from assets.billing import INVOICES
from assets.ingestion import (
    EVENTS,
    FACTS,
    LANDING,
    PERIODS,
    every_billing_event_is_one_fact,
    lake_holds_every_accepted_event,
)
from assets.journal import JOURNAL
from assets.metering import USAGE
from assets.quality import RELEASE
from pipelines.catch_up import Step, StepFailedError, catch_up
from pipelines.definitions import defs
from pipelines.stages import STAGES, by_name
from tests.support.materialised import (
    PAST,
    failed_checks,
    invoices_of,
    newest_values,
    past_events,
    run_range,
    usage_of,
)
from tests.support.serving import serving
from valueverse.commands.servers.demo import deliver
from valueverse.demo import harbor, northwind
from valueverse.demo.files import DemoFile, ndjson
from valueverse.platform.access.api_keys import issue_api_key
from valueverse.platform.lake import Lake
from valueverse.platform.stores.held_invoice_store import held_invoice_sentence, held_invoices
from valueverse.platform.warehouse import connect
from valueverse.services.billing import run_billing
from valueverse.services.lake_tables import BILLING_FACTS_TABLE, EVENTS_TABLE
from valueverse.services.months import FIRST_DAY

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from typing import LiteralString

    from valueverse.invoicing import Billed
    from valueverse.platform.lake import LakeTable
    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def settings(module_settings: Settings) -> Iterator[Settings]:
    """Settings of this module's world, also for code that reads the environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in module_settings.environment().items():
            patch.setenv(name, value)
        yield module_settings


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as found:
        yield found


@pytest.fixture(scope="module")
def steps(settings: Settings, instance: dg.DagsterInstance) -> list[Step]:
    """The runs that one small delivery of both tenants asked for."""
    traces = {
        name: pl.read_csv(ROOT / "data" / f"{name}.csv", infer_schema=False).head(300) for name in northwind.TRACES
    }
    past = DemoFile(PAST, "past.ndjson", ndjson(past_events()))
    (settings.landing / PAST).mkdir(parents=True)
    (settings.landing / PAST / "notes.txt").write_text("no format of events")
    deliver(settings.landing, [*northwind.landing_files(traces), *harbor.landing_files(10), past])
    caught_up: list[Step] = []
    catch_up(instance, caught_up.append)
    return caught_up


def test_every_stage_runs_and_succeeds(steps: list[Step]) -> None:
    assert [step.stage for step in steps if not step.ok] == []
    assert {step.stage for step in steps} == {"ingestion", "usage", "billing", "value", "release", "marts", "audit"}


def test_every_asset_is_materialised(steps: list[Step], instance: dg.DagsterInstance) -> None:
    written = {key for asset in defs.resolve_asset_graph().assets_defs if asset.is_executable for key in asset.keys}
    missing = {key.to_user_string() for key in written if instance.get_latest_materialization_event(key) is None}
    assert missing == set()


def test_nothing_is_out_of_date_afterwards(steps: list[Step], instance: dg.DagsterInstance) -> None:
    assert {stage.name: work for stage in STAGES if (work := stage.pending(instance))} == {}


def test_only_touched_dates_are_run(steps: list[Step], instance: dg.DagsterInstance, settings: Settings) -> None:
    touched = {max(day, FIRST_DAY).isoformat() for day in Lake(settings.lake_url).dates(EVENTS_TABLE)}
    assert set(newest(instance, USAGE)) == touched
    assert set(newest(instance, EVENTS)) == touched


def test_only_months_with_touched_periods_or_usage_are_billed(steps: list[Step], instance: dg.DagsterInstance) -> None:
    months = ["2023-01-01", "2023-11-01", "2024-01-01", "2024-02-01", "2024-03-01", "2024-04-01", "2024-05-01"]
    assert sorted(newest(instance, PERIODS)) == months
    assert [step.partitions for step in steps if step.stage == "billing"] == [
        "2023-01-01",
        "2023-11-01",
        "2024-01-01...2024-05-01",
    ]


def test_the_past_before_the_first_partition_is_published(steps: list[Step], settings: Settings) -> None:
    def marts(query: LiteralString) -> list[tuple[Any, ...]]:
        with connect(settings, "builder") as connection:
            return connection.execute(query, [PAST]).fetchall()

    invoices = marts(
        "select to_char(invoice_month, 'YYYY-MM'), purpose, total_minor from marts.fct_invoice "
        "where tenant_id = %s order by 1, 2"
    )
    assert invoices == [
        ("2017-03", "start", 36500),
        ("2017-05", "period", 0),
        ("2019-05", "period", 600),
        ("2019-06", "period", 300),
    ]
    lines = "select line_key, amount_minor from marts.fct_invoice_line where tenant_id = %s order by 1, 2"
    assert marts(lines) == [("licence", 36500), ("pages", 300), ("pages", 600)]
    earned = "select min(revenue_month), max(revenue_month), sum(recognised_minor) from marts.fct_revenue_schedule"
    # what was used in June was invoiced, and so earned, in July
    assert marts(f"{earned} where tenant_id = %s") == [(date(2017, 3, 1), date(2019, 7, 1), 37400)]
    usage = "select usage_date, quantity from marts.fct_usage_daily where tenant_id = %s order by 1"
    assert marts(usage) == [
        (date(2017, 4, 1), 7),
        (date(2019, 5, 5), 30),
        (date(2019, 5, 6), 30),
        (date(2019, 6, 7), 30),
    ]
    measured = "select count(*) from value.metric where tenant_id = %s and metric = 'billing.active_customers'"
    assert marts(measured) == [(5,)]
    # Months that hold nothing of anybody are not walked through.
    decided = "select min(period), count(*) < 20 from billing.release where tenant_id = %s and period < '2023-01'"
    assert marts(decided) == [("2017-03", True)]


def test_the_api_serves_the_past(steps: list[Step], settings: Settings) -> None:
    with connect(settings, "builder") as connection:
        key = issue_api_key(connection, PAST)

    async def asked() -> tuple[list[str], list[str]]:
        async with serving(settings, {PAST: key}) as api:
            invoices = (await api.get(PAST, "/v1/invoices")).json()["data"]
            usage = (
                await api.get(PAST, "/v1/customers/old/usage", **{"from": "2017-01-01", "to": "2020-01-01"})
            ).json()
            return sorted(one["total"] for one in invoices), [row["day"] for row in usage["data"]]

    totals, days = anyio.run(asked)
    assert totals == ["0.00", "3.00", "365.00", "6.00"]
    assert days == ["2017-04-01", "2019-05-05", "2019-05-06", "2019-06-07"]


def test_metadata_shows_rows_reasons_and_totals(steps: list[Step], instance: dg.DagsterInstance) -> None:
    def metadata(key: dg.AssetKey) -> dict[str, Any]:
        event = instance.get_latest_materialization_event(key)
        assert event is not None
        assert event.asset_materialization is not None
        return {name: value.value for name, value in event.asset_materialization.metadata.items()}

    landed = metadata(LANDING)
    assert landed["received"] == landed["accepted"] + landed["duplicate"] + landed["quarantined"]
    assert "malformed" in landed["quarantined_by_reason"]
    assert metadata(FACTS)["dagster/row_count"] > 20
    assert landed["ignored_files"] == 1
    assert f"{PAST}/notes.txt" in landed["ignored"]


def _each_partition_shows_its_own_numbers(instance: dg.DagsterInstance, settings: Settings) -> None:
    rows = usage_of(settings).group_by(pl.max_horizontal("event_date", pl.lit(FIRST_DAY)).cast(pl.String)).len()
    assert {key: count for key, count in newest_values(instance, USAGE, "dagster/row_count").items() if count} == dict(
        rows.iter_rows()
    )
    with connect(settings, "builder") as connection:
        found = connection.execute(
            "select greatest(invoice_month, %s)::text, count(*), sum(total_minor) filter (where currency = 'USD') "
            "from intermediate.int_invoices group by 1",
            [FIRST_DAY],
        ).fetchall()
    months = newest_values(instance, INVOICES, "dagster/row_count")
    assert {key: count for key, count in months.items() if count} == {month: count for month, count, _ in found}
    billed = newest_values(instance, INVOICES, "USD billed (minor units)")
    assert {month: total for month, total in billed.items() if total} == {
        month: int(total) for month, _, total in found if total
    }
    shown = newest_values(instance, INVOICES, "billed")
    assert all(f"USD {Decimal(total).scaleb(-2):,}" in shown[month] for month, total in billed.items())


def test_each_partition_of_a_range_run_shows_its_own_rows_and_amounts(
    steps: list[Step], instance: dg.DagsterInstance, settings: Settings
) -> None:
    (ranged,) = [step for step in steps if step.partitions == "2024-01-01...2024-05-01" and step.stage == "billing"]
    keys = {"2024-01-01", "2024-02-01", "2024-03-01", "2024-04-01", "2024-05-01"}
    records = instance.fetch_materializations(INVOICES, limit=1000).records
    assert sorted(one.partition_key or "" for one in records if one.run_id == ranged.run_id) == sorted(keys)
    assert len(set(newest_values(instance, INVOICES, "billed").values())) > 1
    _each_partition_shows_its_own_numbers(instance, settings)
    decided = newest_values(instance, RELEASE, "dagster/row_count")
    with connect(settings, "builder") as connection:
        found = connection.execute(
            "select greatest(to_date(period, 'YYYY-MM'), %s)::text, count(*) from billing.release group by 1",
            [FIRST_DAY],
        ).fetchall()
    assert {key: count for key, count in decided.items() if count} == dict(found)


def test_the_checks_find_what_is_wrong_with_the_delivery_and_nothing_else(
    steps: list[Step], instance: dg.DagsterInstance
) -> None:
    failed = failed_checks(instance, defs.resolve_asset_graph().asset_check_keys)
    assert {name: one.asset_key for name, one in failed.items()} == {
        "every_file_is_taken": LANDING,
        "every_event_is_metered": USAGE,
        "every_billing_event_is_applied": INVOICES,
        "every_payment_is_booked": JOURNAL,
    }
    for name, words in {
        "every_file_is_taken": f"{PAST}/notes.txt",
        "every_event_is_metered": "no_meter",
        "every_billing_event_is_applied": "unknown_plan",
        "every_payment_is_booked": "archive-000999",
    }.items():
        assert words in (failed[name].description or "")
        assert failed[name].metadata["runbook"].value == f"docs/runbooks/checks.md#{name}"
        assert "Asset `" in str(failed[name].metadata["what_to_do"].value)


CAN_FAIL: list[tuple[dg.AssetChecksDefinition, LakeTable]] = [
    (lake_holds_every_accepted_event, EVENTS_TABLE),
    (every_billing_event_is_one_fact, BILLING_FACTS_TABLE),
]


@pytest.mark.parametrize(("check", "table"), CAN_FAIL, ids=["events", "facts"])
def test_a_check_of_the_lake_fails_when_rows_are_there_twice(
    steps: list[Step], settings: Settings, tmp_path: Path, check: dg.AssetChecksDefinition, table: LakeTable
) -> None:
    lake, seeded = Lake(settings.lake_url), Lake(str(tmp_path))
    for one in (EVENTS_TABLE, BILLING_FACTS_TABLE):
        shutil.copytree(lake.address(one), seeded.address(one))
    platform: Any = SimpleNamespace(lake=seeded)
    assert check(platform=platform).passed
    seeded.append(table, seeded.scan(table).head(1).collect())
    result = check(platform=platform)
    assert not result.passed
    assert result.metadata["runbook"].value == f"docs/runbooks/checks.md#{check.check_key.name}"


def test_the_next_catch_up_finds_nothing_to_do(
    steps: list[Step], instance: dg.DagsterInstance, settings: Settings
) -> None:
    before = invoices_of(settings)
    caught_up: list[Step] = []
    catch_up(instance, caught_up.append)
    # A key that another test made is an entry for the audit log.
    assert [step.stage for step in caught_up if step.stage != "audit"] == ["ingestion"]
    assert invoices_of(settings) == before


def test_a_range_run_again_gives_the_same_usage_and_the_same_invoices(
    steps: list[Step], instance: dg.DagsterInstance, settings: Settings
) -> None:
    usage, invoices = usage_of(settings), invoices_of(settings)
    assert run_range(instance, "usage_job", "2024-02-01", "2024-03-15")
    assert run_range(instance, "billing_job", "2024-01-01", "2024-05-01")
    assert usage_of(settings).equals(usage)
    assert invoices_of(settings) == invoices
    _each_partition_shows_its_own_numbers(instance, settings)


def test_usage_that_the_lake_lost_fails_its_run_and_an_invoice_without_a_price_fails_a_check_until_it_has_one(
    steps: list[Step], instance: dg.DagsterInstance, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_dates, bill_together = Lake.replace_dates, run_billing.bill_together

    def loses_a_row(lake: Lake, table: LakeTable, frame: pl.DataFrame, dates: Collection[date]) -> None:
        replace_dates(lake, table, frame.slice(1), dates)

    def holds_an_invoice(*given: Any, **named: Any) -> Billed:
        billed = bill_together(*given, **named)
        line = {
            "tenant": "northwind-ai", "customer": "code-assistant", "subscription": "s", "invoice_type": "period",
            "period_from": datetime(2023, 11, 1, tzinfo=UTC), "period_to": datetime(2023, 12, 1, tzinfo=UTC),
            "revision": 0, "key": "x", "problem": "none",
        }  # fmt: skip
        return replace(billed, problems=pl.DataFrame([line], schema=billed.problems.schema))

    def failed() -> dict[str, dg.AssetCheckEvaluation]:
        return failed_checks(instance, defs.resolve_asset_graph().asset_check_keys)

    with monkeypatch.context() as patch:
        patch.setattr(Lake, "replace_dates", loses_a_row)
        patch.setattr(run_billing, "bill_together", holds_an_invoice)
        with pytest.raises(dg.Failure, match="does not hold"):
            run_range(instance, "usage_job", "2024-02-10", "2024-02-10")
        assert run_range(instance, "billing_job", "2023-11-01", "2023-11-01")
    assert "customer code-assistant" in (failed()["every_period_is_billed"].description or "")
    with connect(settings, "builder") as connection:
        sentences = [held_invoice_sentence(row) for row in held_invoices(connection)]
    words = "1 line without an amount holds back invoices of 2023-11: none, e.g. customer code-assistant, line x"
    assert sentences == [f"tenant northwind-ai: {words}"]
    assert run_range(instance, "usage_job", "2024-02-10", "2024-02-10")
    assert run_range(instance, "billing_job", "2023-01-01", "2023-01-01")  # another month: the first one still waits
    assert "month 2023-11-01" in (failed()["every_period_is_billed"].description or "")
    assert run_range(instance, "billing_job", "2023-11-01", "2023-11-01")
    assert "every_period_is_billed" not in failed()


def test_single_partitions_give_what_their_range_gives(
    steps: list[Step], instance: dg.DagsterInstance, settings: Settings
) -> None:
    usage = usage_of(settings)
    for day in ("2024-02-10", "2024-02-11"):
        assert run_range(instance, "usage_job", day, day)
    assert usage_of(settings).equals(usage)


def test_a_run_for_one_tenant_leaves_the_others_alone_and_owed(
    steps: list[Step], instance: dg.DagsterInstance, settings: Settings
) -> None:
    usage = usage_of(settings)
    config = {"ops": {"lake__usage": {"config": {"tenants": ["northwind-ai"]}}}}
    instance.report_runless_asset_event(dg.AssetMaterialization(EVENTS, partition="2024-02-10"))
    assert run_range(instance, "usage_job", "2024-02-10", "2024-02-11", config)
    assert usage_of(settings).equals(usage)
    _each_partition_shows_its_own_numbers(instance, settings)
    (work,) = by_name()["usage"].pending(instance)
    assert work.partitions == ("2024-02-10", "2024-02-10")
    assert run_range(instance, "usage_job", "2024-02-10", "2024-02-10")
    assert by_name()["usage"].pending(instance) == []


def test_a_wrong_tenant_in_the_config_is_refused_before_the_run(instance: dg.DagsterInstance) -> None:
    config = {"ops": {"lake__usage": {"config": {"tenants": ["Northwind AI"]}}}}
    with pytest.raises(Exception, match="is not a tenant key"):
        run_range(instance, "usage_job", "2024-02-10", "2024-02-10", config)


def test_a_backfill_from_the_command_line_changes_nothing(
    steps: list[Step], settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command of docs/runbooks/backfill.md, on an instance of its own."""
    usage = usage_of(settings)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    command = "asset materialize -m pipelines.definitions --partition-range 2024-02-01...2024-02-29 --select"
    done = CliRunner().invoke(create_dagster_cli(), [*command.split(), 'key:"lake/usage"'])
    assert done.exit_code == 0, done.output[-3000:]
    with dg.DagsterInstance.get() as own:
        (ran,) = own.get_runs()
        assert ran.status == dg.DagsterRunStatus.SUCCESS
    assert usage_of(settings).equals(usage)


def test_a_run_that_fails_is_reported_and_stops_what_follows(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VALUEVERSE_POSTGRES_URL", f"postgresql://nobody@/nothing?host={tmp_path}")
    caught_up: list[Step] = []
    with dg.DagsterInstance.ephemeral() as empty, pytest.raises(StepFailedError):
        catch_up(empty, caught_up.append)
    (step,) = caught_up
    assert not step.ok
    assert "Postgres does not answer" in step.error
