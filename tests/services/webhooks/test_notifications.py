"""Notifications of money: written by the step that books it, once, and gone when their time is over."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from standardwebhooks.webhooks import Webhook

from assets.resources import Platform
from pipelines.webhooks import purge_webhooks_job
from tests.services.billing.test_journal_step import booked, world
from tests.support.warehouse_billing import run
from tests.support.webhooks import deliver, make_due, receiving
from valueverse.platform.warehouse import connect
from valueverse.services.webhooks.deliveries import list_deliveries
from valueverse.services.webhooks.endpoints import add_endpoint
from valueverse.services.webhooks.purge import purge_deliveries

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.integration]
THRESHOLD = """
    insert into billing.invoice
    select (jsonb_populate_record(i, '{"invoice_id": "00000000-0000-4000-8000-000000000001", "status": "draft",
            "invoice_type": "threshold", "number": null, "sequence": null, "content_hash": null, "chain_hash": null,
            "previous_hash": null, "document": null, "finalised_at": null}')).*
      from billing.invoice as i where i.number = 'acme-000001'"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_payments_thresholds_and_low_wallets_are_notified_of_once_and_the_public_verifier_takes_them(
    settings: Settings,
) -> None:
    settings = settings.model_copy(update={"webhook_private_addresses": True})
    company, failed = world(), {"invoice": "acme-000001", "amount": "5", "currency": "USD"}
    company.record("payment.failed", "2023-12-11", failed)
    soon = datetime.now(UTC) + timedelta(hours=1)
    company.record("payment.failed", "2023-12-12", failed, received_at=soon)
    with receiving() as receiver:
        types = ["payment.received", "payment.failed", "usage.threshold", "wallet.low"]
        secret = add_endpoint(settings, "acme", receiver.url, types)["secret"]
        run(company, settings)
        booked(settings, company)
        with connect(settings, "admin") as connection:
            connection.execute(THRESHOLD)
        booked(settings, company)
        for _ in range(3):
            make_due(settings)
            await deliver(settings)
        notified = [Webhook(secret).verify(body, headers) for headers, body in receiver.received]
    found = {one["type"]: one["data"] for one in notified}
    assert len(notified) == len(found) == 4
    paid, back = company.facts[-3]["id"], company.facts[-1]["id"]
    assert found["payment.received"] == {"payment": f"test#{paid}", "invoice": "acme-000001", "customer": "c1"}
    assert found["payment.failed"] == {"payment": f"test#{back}", "invoice": "acme-000001", "customer": "c1"}
    assert found["wallet.low"] == {"customer": "c1", "wallet": "w", "currency": "USD"}
    assert found["usage.threshold"].items() >= {"customer": "c1", "status": "draft"}.items()
    purge_deliveries(settings.model_copy(update={"webhook_days": 1}))
    assert len(list_deliveries(settings, "acme", "delivered", 10)) == 4, "their time is not over"
    with connect(settings, "builder") as connection:
        connection.execute("update billing.webhook_delivery set due_at = now() - interval '31 days'")
    assert purge_deliveries(settings, at_once=3) == 4
    with connect(settings, "admin") as connection:
        connection.execute("update billing.invoice set due_on = due_on where invoice_type = 'threshold'")
    booked(settings, company)
    assert list_deliveries(settings, "acme", None, 10) == []


def test_what_was_given_up_stays_longer_than_what_was_delivered_and_what_waits_stays(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in settings.environment().items():
        monkeypatch.setenv(variable, value)
    endpoint = add_endpoint(settings, "acme", "https://example.com/x", [])["endpoint"]
    rows = [(state, days) for state in ("waiting", "delivered", "dead") for days in (29, 31, 91)]
    with connect(settings, "builder") as connection:
        connection.execute(
            "insert into billing.webhook_delivery (tenant_id, endpoint, type, object, message_id, body, state, due_at) "
            "select 'acme', %s, 'webhook.test', r ->> 0 || (r ->> 1), 'm', '{}', r ->> 0, "
            "now() - make_interval(days => (r ->> 1)::integer) from jsonb_array_elements(%s::jsonb) as r",
            [endpoint, json.dumps(rows)],
        )
    assert purge_webhooks_job.execute_in_process(resources={"platform": Platform()}).success
    left = [row["state"] for row in list_deliveries(settings, "acme", None, 10)]
    assert sorted(left) == ["dead", "dead", "delivered", "waiting", "waiting", "waiting"]
