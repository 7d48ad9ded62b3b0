"""Every asset on a temporary instance and real Postgres: a range, the same again, some tenants only."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import dagster as dg
import polars as pl
import pytest

from assets.asset_helpers import newest
from assets.ingestion import EVENTS, FACTS, LANDING, PERIODS
from assets.metering import USAGE
from assets.partitions import range_tags
from pipelines.catch_up import QUIET, Step, StepFailedError, catch_up
from pipelines.definitions import defs
from pipelines.stages import STAGES, by_name
from tests.support.serving import serving
from valueverse.commands.servers.demo import deliver
from valueverse.demo import harbor, northwind
from valueverse.demo.files import DemoFile, ndjson
from valueverse.platform.access.api_keys import issue_api_key
from valueverse.platform.lake import Lake
from valueverse.platform.warehouse import connect
from valueverse.services.lake_tables import EVENTS_TABLE, USAGE_TABLE
from valueverse.services.months import FIRST_DAY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import LiteralString

    from valueverse.demo.files import Event
    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration

PAST = "archive"
"""A tenant whose usage and subscriptions lie before the first partition."""
ROOT = Path(__file__).parents[2]
KEY = ["tenant", "event_date", "source", "id", "meter"]


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
    past = DemoFile(PAST, "past.ndjson", ndjson(_past()))
    deliver(settings.landing, [*northwind.landing_files(traces), *harbor.landing_files(10), past])
    caught_up: list[Step] = []
    catch_up(instance, caught_up.append)
    return caught_up


def _past() -> list[Event]:
    """A yearly plan from March 2017 to March 2018, and a monthly one in May and June 2019; usage of both."""
    meter = {"key": "pages", "event_type": "printed", "aggregation": "sum", "value": "n"}
    charge = {"key": "pages", "meter": "pages", "price": {"model": "standard", "unit": "0.10"}}
    plans = [
        {"key": "yearly", "period": {"unit": "year"}, "fees": [{"key": "licence", "amount": "365"}]},
        {"key": "monthly", "period": {"align": "calendar"}, "charges": [charge]},
    ]
    catalog = {"schema": "valueverse.catalog/v1", "currency": "USD", "meters": [meter], "plans": plans}
    caught_up: list[tuple[str, str, str | None, dict[str, Any]]] = [
        ("billing.catalog.published", "2017-01-01", None, catalog),
        ("billing.customer.created", "2017-01-01", None, {"customer": "old", "name": "Old"}),
        *(
            ("billing.subscription.started", day, None, {"subscription": name, "customer": "old", "plan": plan})
            for day, name, plan in (("2017-03-01", "y", "yearly"), ("2019-05-01", "m", "monthly"))
        ),
        *(
            ("billing.subscription.ended", day, None, {"subscription": name})
            for day, name in (("2018-03-01", "y"), ("2019-07-01", "m"))
        ),
        *(("printed", day, "old", {"n": 30}) for day in ("2019-05-05", "2019-05-06", "2019-06-07")),
        ("printed", "2017-04-01", "old", {"n": 7}),
    ]
    return [
        {"specversion": "1.0", "id": f"p{number}", "source": "archive", "type": kind, "time": f"{day}T00:00:00Z",
         "tenant": PAST, "data": data} | ({} if subject is None else {"subject": subject})
        for number, (kind, day, subject, data) in enumerate(caught_up)
    ]  # fmt: skip


def _usage(settings: Settings) -> pl.DataFrame:
    return Lake(settings.lake_url).scan(USAGE_TABLE).collect().sort(KEY)


def _invoices(settings: Settings) -> list[tuple[Any, ...]]:
    with connect(settings, "builder") as connection:
        return connection.execute(
            "select tenant_id, customer, period_from, invoice_type, status, total_minor, content_hash "
            "from billing.invoice order by 1, 2, 3, 4"
        ).fetchall()


def _run(instance: dg.DagsterInstance, job: str, first: str, last: str, config: dict[str, Any] | None = None) -> bool:
    result = defs.resolve_job_def(job).execute_in_process(
        run_config={**QUIET, **(config or {})}, instance=instance, tags=range_tags(first, last)
    )
    return result.success


def test_every_stage_runs_and_succeeds(steps: list[Step]) -> None:
    assert [step.stage for step in steps if not step.ok] == []
    assert {step.stage for step in steps} == {"ingestion", "usage", "billing", "value", "release", "marts"}


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
        ("2018-02", "period", 0),
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
    assert marts(measured) == [(14,)]
    # Months that hold nothing of anybody are not walked through.
    decided = "select min(period), count(*) < 30 from billing.release where tenant_id = %s and period < '2023-01'"
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
    assert "total_minor" in metadata(dg.AssetKey(["billing", "invoices"]))["totals"]


def test_the_next_catch_up_finds_nothing_to_do(
    steps: list[Step], instance: dg.DagsterInstance, settings: Settings
) -> None:
    before = _invoices(settings)
    caught_up: list[Step] = []
    catch_up(instance, caught_up.append)
    assert [step.stage for step in caught_up] == ["ingestion"]
    assert _invoices(settings) == before


def test_a_range_run_again_gives_the_same_usage_and_the_same_invoices(
    steps: list[Step], instance: dg.DagsterInstance, settings: Settings
) -> None:
    usage, invoices = _usage(settings), _invoices(settings)
    assert _run(instance, "usage_job", "2024-02-01", "2024-03-15")
    assert _run(instance, "billing_job", "2024-01-01", "2024-05-01")
    assert _usage(settings).equals(usage)
    assert _invoices(settings) == invoices


def test_single_partitions_give_what_their_range_gives(
    steps: list[Step], instance: dg.DagsterInstance, settings: Settings
) -> None:
    usage = _usage(settings)
    for day in ("2024-02-10", "2024-02-11"):
        assert _run(instance, "usage_job", day, day)
    assert _usage(settings).equals(usage)


def test_a_run_for_one_tenant_leaves_the_others_alone_and_owed(
    steps: list[Step], instance: dg.DagsterInstance, settings: Settings
) -> None:
    usage = _usage(settings)
    config = {"ops": {"lake__usage": {"config": {"tenants": ["northwind-ai"]}}}}
    instance.report_runless_asset_event(dg.AssetMaterialization(EVENTS, partition="2024-02-10"))
    assert _run(instance, "usage_job", "2024-02-10", "2024-02-11", config)
    assert _usage(settings).equals(usage)
    (work,) = by_name()["usage"].pending(instance)
    assert work.partitions == ("2024-02-10", "2024-02-10")
    assert _run(instance, "usage_job", "2024-02-10", "2024-02-10")
    assert by_name()["usage"].pending(instance) == []


def test_a_wrong_tenant_in_the_config_is_refused_before_the_run(
    steps: list[Step], instance: dg.DagsterInstance
) -> None:
    config = {"ops": {"lake__usage": {"config": {"tenants": ["Northwind AI"]}}}}
    with pytest.raises(Exception, match="is not a tenant key"):
        _run(instance, "usage_job", "2024-02-10", "2024-02-10", config)


def test_a_backfill_from_the_command_line_changes_nothing(
    steps: list[Step], settings: Settings, tmp_path: Path
) -> None:
    """The command of docs/runbooks/backfill.md, on an instance of its own."""
    import os

    usage = _usage(settings)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "dagster", "asset", "materialize", "-m", "pipelines.definitions"),
            *("--select", 'key:"lake/usage"', "--partition-range", "2024-02-01...2024-02-29"),
        ],
        cwd=ROOT,
        env={**os.environ, **settings.environment(), "DAGSTER_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert _usage(settings).equals(usage)


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
