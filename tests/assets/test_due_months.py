"""Billing events where no subscription has a period: which months are billed, and which are released after it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from assets import billing
from assets.asset_helpers import newest
from assets.billing import CHANGED
from assets.partitions import MONTHLY
from assets.quality import RELEASE
from pipelines.catch_up import StepFailedError, catch_up
from pipelines.stages import by_name
from tests.support.materialised import PAST, past_events, run_range
from valueverse.commands.servers.demo import deliver
from valueverse.demo.files import DemoFile, ndjson
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import LiteralString

    from pipelines.catch_up import Step
    from valueverse.demo.files import Event
    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def settings(module_settings: Settings) -> Iterator[Settings]:
    """Settings of this module's world, also for code that reads the environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in module_settings.environment().items():
            patch.setenv(name, value)
        yield module_settings


@pytest.fixture(scope="module")
def instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """Of a tenant whose last subscription ended in July 2019, billed."""
    with dg.DagsterInstance.ephemeral() as found:
        _deliver(settings, found, past_events())
        yield found


def _deliver(settings: Settings, instance: dg.DagsterInstance, events: list[Event]) -> list[str]:
    """Take events in, bill and book; the months that were billed."""
    deliver(settings.landing, [DemoFile(PAST, f"{events[0]['id']}.ndjson", ndjson(events))])
    steps: list[Step] = []
    catch_up(instance, steps.append, until="journal")
    return [step.partitions for step in steps if step.stage == "billing"]


def _event(kind: str, time: str, data: dict[str, Any]) -> Event:
    return {
        "specversion": "1.0", "id": f"{kind}-{time}", "source": PAST, "type": f"billing.{kind}", "time": time,
        "tenant": PAST, "data": data,
    }  # fmt: skip


def _one_off(time: str, amount: str) -> Event:
    line = {"customer": "old", "amount": amount, "currency": "USD", "description": "Set-up"}
    return _event("one_off.added", time, line)


def _rows(settings: Settings, query: LiteralString) -> list[tuple[Any, ...]]:
    with connect(settings, "builder") as connection:
        return connection.execute(query, [PAST]).fetchall()


def test_billing_events_in_months_without_a_period_are_billed_and_booked(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    numbers = "select number, total_minor from billing.invoice where tenant_id = %s and status = 'finalised' order by 1"
    (first, _), *_ = [row for row in _rows(settings, numbers) if row[1]]
    events = [
        _one_off("2023-06-05T00:00:00Z", "1.00"),
        _event("payment.received", "2023-08-10T00:00:00Z", {"invoice": first, "amount": "0.50", "currency": "USD"}),
        _event(
            "credit_note.issued",
            "2023-09-10T00:00:00Z",
            {"invoice": first, "amount": "0.25", "reason": "goodwill"},
        ),
    ]
    assert _deliver(settings, instance, events) == ["2023-06-01", "2023-08-01...2023-09-01"]
    assert _rows(settings, numbers)[-1][1] == 100
    booked = (
        "select kind, count(*) from billing.journal_entry where tenant_id = %s and kind ~ 'payment|credit' group by 1"
    )
    assert len(_rows(settings, booked)) == 2


def test_a_month_whose_invoice_another_months_run_finalises_is_released_and_measured(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    now = datetime.now(UTC)
    _deliver(settings, instance, [_one_off(now.replace(microsecond=0).isoformat(), "2.00")])
    statuses = "select status from billing.invoice where tenant_id = %s and total_minor = 200"
    assert _rows(settings, statuses) == [("draft",)]
    _as_if_released(instance)
    assert _pending(instance, "release") == []
    later = {"config": {"as_of": (now + timedelta(days=400)).isoformat()}}
    config = {"ops": dict.fromkeys(by_name()["billing"].ops, later)}
    assert run_range(instance, "billing_job", "2023-07-01", "2023-07-01", config)
    assert _rows(settings, statuses) == [("finalised",)]
    this_month = f"{now:%Y-%m}-01"
    assert _pending(instance, "release") == [("2023-07-01", "2023-07-01"), (this_month, this_month)]
    assert (this_month, this_month) in _pending(instance, "value")


def test_a_run_that_changes_no_invoice_marks_no_other_month(settings: Settings, instance: dg.DagsterInstance) -> None:
    marked = newest(instance, CHANGED)
    _as_if_released(instance)
    assert run_range(instance, "billing_job", "2023-07-01", "2023-07-01")
    assert newest(instance, CHANGED) == marked
    assert _pending(instance, "release") == [("2023-07-01", "2023-07-01")]


def test_a_cost_in_a_month_without_billing_is_measured_and_released_and_no_work_of_billing(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    """October has nothing else; the amendment moves the cost to November, and October is measured again."""
    cost = {"customer": "old", "amount": "12.50", "currency": "USD"}
    october, november = ("2023-10-01", "2023-10-01"), ("2023-11-01", "2023-11-01")
    measured = (
        "select month::text, value::text from value.metric where tenant_id = %s and metric = 'billing.cost_to_serve'"
    )
    first = _event("cost.recorded", "2023-10-09T00:00:00Z", cost)
    assert _deliver(settings, instance, [first]) == []
    assert _waits(instance, "value", october[0])
    assert _waits(instance, "release", october[0])
    assert run_range(instance, "value_job", *october)
    assert [(month, float(value)) for month, value in _rows(settings, measured)] == [("2023-10-01", 12.5)]
    assert not _waits(instance, "value", october[0])
    moved = _event("cost.recorded", "2023-11-09T00:00:00Z", cost) | {"replaces": first["id"]}
    assert _deliver(settings, instance, [moved]) == []
    assert _waits(instance, "value", october[0])
    assert _waits(instance, "value", november[0])
    assert run_range(instance, "value_job", october[0], november[0])
    assert [(month, float(value)) for month, value in _rows(settings, measured)] == [("2023-11-01", 12.5)]


def test_a_run_that_ended_before_its_marks_is_made_up_for_by_the_next(
    settings: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ends(*_: object) -> None:
        raise RuntimeError("no marks")

    own = "select number from billing.invoice where tenant_id = %s and total_minor = 100 and status = 'finalised'"
    ((number,),) = _rows(settings, own)
    _as_if_released(instance)
    void = _event("invoice.voided", "2023-08-20T00:00:00Z", {"invoice": number, "reason": "wrong"})
    with monkeypatch.context() as patch:
        patch.setattr(billing, "mark_changed", ends)
        with pytest.raises(StepFailedError):
            _deliver(settings, instance, [void])
    assert len(_rows(settings, "select 1 from billing.invoice_void where tenant_id = %s")) == 1
    catch_up(instance, lambda _: None, until="journal")
    assert _pending(instance, "release") == [("2023-06-01", "2023-06-01"), ("2023-08-01", "2023-08-01")]


def _as_if_released(instance: dg.DagsterInstance) -> None:
    for work in by_name()["release"].pending(instance):
        first, last = work.partitions or ("", "")
        for month in MONTHLY.get_partition_keys_in_range(dg.PartitionKeyRange(first, last)):
            instance.report_runless_asset_event(dg.AssetMaterialization(RELEASE, partition=month))


def _waits(instance: dg.DagsterInstance, stage: str, month: str) -> bool:
    return any(one is not None and one[0] <= month <= one[1] for one in _pending(instance, stage))


def _pending(instance: dg.DagsterInstance, stage: str) -> list[tuple[str, str] | None]:
    return [work.partitions for work in by_name()[stage].pending(instance)]
