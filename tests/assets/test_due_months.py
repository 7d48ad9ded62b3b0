"""Billing events where no subscription has a period: which months are billed, and which are released after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from pipelines.catch_up import catch_up
from tests.support.materialised import PAST, past_events
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
