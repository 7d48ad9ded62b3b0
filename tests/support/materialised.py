"""What tests of materialised assets deliver, run and read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.partitions import range_tags
from pipelines.catch_up import QUIET
from pipelines.definitions import defs
from valueverse.platform.lake import Lake
from valueverse.platform.warehouse import connect
from valueverse.services.lake_tables import USAGE_TABLE

if TYPE_CHECKING:
    from collections.abc import Iterable

    import polars as pl

    from valueverse.demo.files import Event
    from valueverse.platform.settings import Settings

PAST = "archive"
"""A tenant whose usage and subscriptions lie before the first partition."""
KEY = ["tenant", "event_date", "source", "id", "meter"]


def past_events() -> list[Event]:
    """A quarterly plan from March to June 2017, and a monthly one in May and June 2019; usage of both."""
    meter = {"key": "pages", "event_type": "printed", "aggregation": "sum", "value": "n"}
    charge = {"key": "pages", "meter": "pages", "price": {"model": "standard", "unit": "0.10"}}
    plans = [
        {"key": "quarterly", "period": {"unit": "quarter"}, "fees": [{"key": "licence", "amount": "365"}]},
        {"key": "monthly", "period": {"align": "calendar"}, "charges": [charge]},
    ]
    catalog = {"schema": "valueverse.catalog/v1", "currency": "USD", "meters": [meter], "plans": plans}
    caught_up: list[tuple[str, str, str | None, dict[str, Any]]] = [
        ("billing.catalog.published", "2017-01-01", None, catalog),
        ("billing.customer.created", "2017-01-01", None, {"customer": "old", "name": "Old"}),
        *(
            ("billing.subscription.started", day, None, {"subscription": name, "customer": "old", "plan": plan})
            for day, name, plan in (("2017-03-01", "q", "quarterly"), ("2019-05-01", "m", "monthly"))
        ),
        *(
            ("billing.subscription.ended", day, None, {"subscription": name})
            for day, name in (("2017-06-01", "q"), ("2019-07-01", "m"))
        ),
        *(("printed", day, "old", {"n": 30}) for day in ("2019-05-05", "2019-05-06", "2019-06-07")),
        ("printed", "2017-04-01", "old", {"n": 7}),
        ("scanned", "2019-06-07", "old", {"n": 1}),  # no meter takes it
        ("billing.subscription.started", "2019-06-01", None, {"subscription": "x", "customer": "old", "plan": "gone"}),
        (
            "billing.payment.received",
            "2019-07-05",
            None,
            {"invoice": "archive-000999", "amount": "1", "currency": "USD"},
        ),
    ]
    return [
        {"specversion": "1.0", "id": f"p{number}", "source": "archive", "type": kind, "time": f"{day}T00:00:00Z",
         "tenant": PAST, "data": data} | ({} if subject is None else {"subject": subject})
        for number, (kind, day, subject, data) in enumerate(caught_up)
    ]  # fmt: skip


def usage_of(settings: Settings) -> pl.DataFrame:
    return Lake(settings.lake_url).scan(USAGE_TABLE).collect().sort(KEY)


def invoices_of(settings: Settings) -> list[tuple[Any, ...]]:
    with connect(settings, "builder") as connection:
        return connection.execute(
            "select tenant_id, customer, period_from, invoice_type, status, total_minor, content_hash "
            "from billing.invoice order by 1, 2, 3, 4"
        ).fetchall()


def run_range(
    instance: dg.DagsterInstance, job: str, first: str, last: str, config: dict[str, Any] | None = None
) -> bool:
    result = defs.resolve_job_def(job).execute_in_process(
        run_config={**QUIET, **(config or {})}, instance=instance, tags=range_tags(first, last)
    )
    return result.success


def newest_values(instance: dg.DagsterInstance, key: dg.AssetKey, name: str) -> dict[str, Any]:
    """Partition -> a value in the metadata of its newest materialisation."""
    records = instance.fetch_materializations(key, limit=1000).records
    newest_first = [one.asset_materialization for one in records if one.asset_materialization]
    return {str(one.partition): one.metadata[name].value for one in reversed(newest_first) if name in one.metadata}


def failed_checks(instance: dg.DagsterInstance, keys: Iterable[dg.AssetCheckKey]) -> dict[str, dg.AssetCheckEvaluation]:
    """The checks whose newest evaluation did not pass."""
    records = {key.name: instance.get_latest_asset_check_evaluation_record(key) for key in keys}
    found = {name: record.evaluation for name, record in records.items() if record}
    # A run that failed has planned its checks.
    return {name: one for name, one in found.items() if isinstance(one, dg.AssetCheckEvaluation) and not one.passed}
