"""Notifications: written with the change, signed, delivered, tried again, given up, replayed."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import TYPE_CHECKING

import psycopg
import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tests.support import billing_rows
from tests.support.webhooks import deliver, make_due, receiving
from valueverse.errors import RefusalError
from valueverse.platform.outbound import Answer
from valueverse.platform.queries import values_of
from valueverse.platform.servers.processes import wait_until
from valueverse.platform.servers.supervisor import project
from valueverse.platform.stores.functions import call
from valueverse.platform.warehouse import connect
from valueverse.services.webhooks.deliveries import list_deliveries, replay_delivery
from valueverse.services.webhooks.endpoints import (
    add_endpoint,
    disable_endpoint,
    list_endpoints,
    rotate_secret,
    send_test,
)
from valueverse.services.webhooks.jobs import WAITS, outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from valueverse.platform.settings import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.integration]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def world(settings: Settings) -> Settings:
    return settings.model_copy(update={"webhook_private_addresses": True})


async def test_the_public_verifier_takes_what_is_sent_and_nothing_else(world: Settings) -> None:
    with receiving() as receiver:
        made = add_endpoint(world, "acme", receiver.url, [])
        send_test(world, "acme", made["endpoint"])
        await deliver(world)
        ((headers, body),) = receiver.received
    assert Webhook(made["secret"]).verify(body, headers)["type"] == "webhook.test"
    for changed in (body + b" ", body.replace(b"test", b"tost")):
        with pytest.raises(WebhookVerificationError):
            Webhook(made["secret"]).verify(changed, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(made["secret"]).verify(body, {**headers, "webhook-id": "msg_other"})
    (row,) = list_deliveries(world, "acme", None, 10)
    assert (row["state"], row["attempts"], row["status"]) == ("delivered", 1, 204)


async def test_a_new_secret_and_the_one_before_verify_for_a_day_and_then_the_new_one_alone(world: Settings) -> None:
    with receiving() as receiver:
        old = add_endpoint(world, "acme", receiver.url, [])
        new = rotate_secret(world, "acme", old["endpoint"])
        assert new["secret"] != old["secret"]
        for _ in range(2):
            send_test(world, "acme", old["endpoint"])
            await deliver(world)
            with connect(world, "builder") as connection:
                connection.execute("update billing.webhook_endpoint set previous_until = now()")
    (both, body), (alone, later) = receiver.received
    for secret in (old["secret"], new["secret"]):
        Webhook(secret).verify(body, both)
    Webhook(new["secret"]).verify(later, alone)
    with pytest.raises(WebhookVerificationError):
        Webhook(old["secret"]).verify(later, alone)


def test_no_secret_is_in_the_database_nor_shown_again(world: Settings) -> None:
    made = add_endpoint(world, "acme", "https://example.com/x", ["invoice.voided"])
    assert made["secret"].startswith("whsec_")
    assert made["secret"] not in json.dumps(list_endpoints(world, "acme"), default=str)
    with connect(world, "builder") as connection:
        (row,) = connection.execute("select w::text from billing.webhook_endpoint as w")
    assert made["secret"][6:] not in row[0]
    other = add_endpoint(world, "birch", "https://example.com/x", [])
    assert other["secret"] != made["secret"]


def test_a_notification_is_written_with_its_change_or_not_at_all(world: Settings) -> None:
    billing_rows.seed(world)
    with receiving() as receiver:
        every = add_endpoint(world, "acme", receiver.url, [])
        voids = add_endpoint(world, "acme", receiver.url, ["invoice.voided"])
        gone = add_endpoint(world, "acme", receiver.url, [])
        disable_endpoint(world, "acme", gone["endpoint"])
        add_endpoint(world, "cedar", receiver.url, [])
    with connect(world, "builder") as connection:
        (invoice,) = connection.execute(
            "select invoice_id from billing.invoice where tenant_id = 'acme' and status = 'finalised' limit 1"
        )
        void = "insert into billing.invoice_void values ('acme', %s, 'wrong', now())"
        connection.execute(void, invoice)
        connection.rollback()
        assert list_deliveries(world, "acme", None, 10) == []
        connection.execute(void, invoice)
        held = "insert into billing.release values ('acme', %s, %s, 'r', null, now())"
        connection.execute(held, ["2024-01", "held"])
        connection.execute(held, ["2024-02", "released"])
        connection.execute("update billing.release set decided_at = now() where tenant_id = 'acme'")
    rows = {(row["endpoint"], row["type"]) for row in list_deliveries(world, "acme", "waiting", 10)}
    assert rows == {
        (every["endpoint"], "invoice.voided"),
        (voids["endpoint"], "invoice.voided"),
        (every["endpoint"], "quality.held"),
    }
    assert list_deliveries(world, "cedar", None, 10) == []


async def test_a_failure_is_tried_again_with_the_same_id_until_it_is_taken(world: Settings) -> None:
    with receiving(500, 302, 200) as receiver:
        made = add_endpoint(world, "acme", receiver.url, [])
        send_test(world, "acme", made["endpoint"])
        await deliver(world)
        assert await deliver(world) == [], "it is not due yet"
        for _ in range(2):
            make_due(world)
            await deliver(world)
        assert len({headers["webhook-id"] for headers, _ in receiver.received}) == 1
    (row,) = list_deliveries(world, "acme", None, 10)
    assert (row["state"], row["attempts"]) == ("delivered", 3)


async def test_what_was_given_up_is_listed_and_replayed(world: Settings) -> None:
    with receiving(500, 200) as receiver:
        made = add_endpoint(world, "acme", receiver.url, [])
        number = send_test(world, "acme", made["endpoint"])
        with connect(world, "builder") as connection:
            connection.execute("update billing.webhook_delivery set attempts = %s", [len(WAITS)])
        await deliver(world)
        (dead,) = list_deliveries(world, "acme", "dead", 10)
        assert (dead["delivery"], dead["status"]) == (number, 500)
        replay_delivery(world, "acme", number)
        await deliver(world)
    assert list_deliveries(world, "acme", "dead", 10) == []
    (row,) = list_deliveries(world, "acme", "delivered", 10)
    assert (row["attempts"], row["message_id"]) == (1, dead["message_id"])


async def test_an_endpoint_that_is_gone_is_disabled_and_gets_nothing_more(world: Settings) -> None:
    with receiving(410) as receiver:
        made = add_endpoint(world, "acme", receiver.url, [])
        number = send_test(world, "acme", made["endpoint"])
        await deliver(world)
    (endpoint,) = list_endpoints(world, "acme")
    assert endpoint["disabled_reason"] == "the endpoint answered 410 Gone"
    for ask in (lambda: send_test(world, "acme", made["endpoint"]), lambda: replay_delivery(world, "acme", number)):
        with pytest.raises(RefusalError):
            ask()


async def test_endpoints_of_one_tenant_that_hang_delay_nobody_elses(world: Settings) -> None:
    with receiving(hangs=True) as hanging, receiving() as well:
        slow = add_endpoint(world, "acme", hanging.url, [])
        quick = add_endpoint(world, "birch", well.url, [])
        for _ in range(12):
            send_test(world, "acme", slow["endpoint"])
        send_test(world, "birch", quick["endpoint"])
        work = asyncio.create_task(deliver(world))
        await until(lambda: len(well.received) == 1 and len(hanging.received) == 4)
        hanging.gate.set()
        await work
    assert len(hanging.received) == 12


async def until(ready: Callable[[], bool]) -> None:
    """Wait for it, half a minute at most."""
    assert await asyncio.to_thread(wait_until, ready, lambda: True, 30)


async def test_what_a_killed_worker_was_delivering_is_delivered_by_the_next_one_with_the_same_id(
    world: Settings,
) -> None:
    with receiving(hangs=True) as receiver:
        made = add_endpoint(world, "acme", receiver.url, [])
        number = send_test(world, "acme", made["endpoint"])
        code = (
            "import asyncio\nfrom tests.support.background import jobs_done\n"
            "from valueverse.platform.settings import get_settings\nfrom valueverse.services.webhooks import jobs\n"
            "asyncio.run(jobs_done(get_settings(), jobs.KINDS, jobs.QUEUE))\n"
        )
        environment = os.environ | world.environment()
        worker = await asyncio.create_subprocess_exec(sys.executable, "-c", code, cwd=project(), env=environment)
        try:
            await until(lambda: len(receiver.received) == 1)
        finally:
            worker.kill()
            await worker.wait()
        receiver.gate.set()
        assert await deliver(world) == [], "its worker may be alive"
        with connect(world, "builder") as connection:
            connection.execute("update queue.procrastinate_workers set last_heartbeat = now() - interval '1 minute'")
        await deliver(world)
        assert len({headers["webhook-id"] for headers, _ in receiver.received}) == 1
        assert len(receiver.received) == 2
    assert [(row["state"], row["attempts"]) for row in list_deliveries(world, "acme", None, 10)] == [("delivered", 2)]
    assert attempts(world, number) == [(None, "it has not ended"), (204, None)]


async def test_a_delivery_that_no_worker_survives_is_given_up_and_replayed(world: Settings) -> None:
    with receiving() as receiver:
        made = add_endpoint(world, "acme", receiver.url, [])
        number = send_test(world, "acme", made["endpoint"])
        with connect(world, "builder") as connection:
            connection.execute("update queue.procrastinate_jobs set status = 'doing', attempts = 9")
        await deliver(world)
        (dead,) = list_deliveries(world, "acme", "dead", 10)
        assert (dead["delivery"], dead["reason"]) == (number, "it could not be attempted, for a reason on our side")
        replay_delivery(world, "acme", number)
        await deliver(world)
        assert len(receiver.received) == 1
    assert list_deliveries(world, "acme", "dead", 10) == []


async def test_each_attempt_has_one_record_whatever_jobs_there_are_for_a_delivery(world: Settings) -> None:
    with receiving(500, 500) as receiver:
        made = add_endpoint(world, "acme", receiver.url, [])
        number = send_test(world, "acme", made["endpoint"])
        await deliver(world)
        # Its next attempt is due in some seconds; a replay is due now, and counts from the beginning.
        for _ in range(2):
            replay_delivery(world, "acme", number)
        await deliver(world)
        (row,) = list_deliveries(world, "acme", "waiting", 10)
        assert (row["attempts"], len(receiver.received)) == (1, 2)
        # Every job is due at last, and the delivery with the newest one alone.
        make_due(world)
        with connect(world, "builder") as connection:
            connection.execute("update queue.procrastinate_jobs set scheduled_at = now() - interval '1 hour'")
        await deliver(world)
    assert len(receiver.received) == 3
    assert attempts(world, number) == [(500, None), (500, None), (204, None)]
    with connect(world, "builder") as connection:
        assert values_of(connection, "select id from queue.procrastinate_jobs") == []


def attempts(world: Settings, delivery: int) -> list[tuple[int | None, str | None]]:
    """Status and reason of each, the oldest first."""
    with connect(world, "api") as connection:
        (found,) = call(connection, "webhook_delivery", "acme", delivery)
    return [(one["status"], one["reason"]) for one in json.loads(found["history"])]


@pytest.mark.security
async def test_private_addresses_are_refused_at_the_connection_and_named(settings: Settings) -> None:
    with receiving() as receiver:
        made = add_endpoint(settings.model_copy(update={"webhook_private_addresses": True}), "acme", receiver.url, [])
        send_test(settings, "acme", made["endpoint"])
        (line,) = await deliver(settings)
        assert receiver.received == []
    assert line["reason"] == "the address is not a public one"
    (row,) = list_deliveries(settings, "acme", "waiting", 10)
    assert row["reason"] == line["reason"]


@pytest.mark.security
def test_endpoints_and_deliveries_of_another_tenant_are_unknown(world: Settings) -> None:
    made = add_endpoint(world, "acme", "https://example.com/x", [])
    number = send_test(world, "acme", made["endpoint"])
    for ask in (rotate_secret, disable_endpoint, send_test):
        with pytest.raises(RefusalError, match="no such endpoint"):
            ask(world, "birch", made["endpoint"])
    with pytest.raises(RefusalError) as caught:
        replay_delivery(world, "birch", number)
    assert caught.value.code == "unknown_delivery"
    assert (list_endpoints(world, "birch"), list_deliveries(world, "birch", None, 10)) == ([], [])
    with connect(world, "api") as login, pytest.raises(psycopg.errors.InsufficientPrivilege):
        login.execute("select 1 from billing.webhook_endpoint")


@pytest.mark.parametrize(
    "url",
    ["http://example.com/", "ftp://example.com/", "https://", "https://user:pw@example.com/", "https://example.com/#x",
     "https://example.com:99999/", "https://exa mple.com/", "HTTPS://example.com/",
     "https://example.com/" + "x" * 2000, "example.com", "https://[::1", "https://[::1]/", "https://169.254.169.254/",
     "https://10.0.0.1:8443/x", "https://2130706433/", "https://0x7f.1/", "https://[::ffff:127.0.0.1]/",
     "https://127.0.0.1./", "https://example.com:0/"],
)  # fmt: skip
def test_an_address_that_no_notification_can_go_to_is_refused(settings: Settings, url: str) -> None:
    with pytest.raises(RefusalError) as caught:
        add_endpoint(settings, "acme", url, [])
    assert caught.value.code == "bad_webhook_url"


def test_a_type_that_there_is_not_is_refused(settings: Settings) -> None:
    with pytest.raises(RefusalError, match=r"invoice\.finalised"):
        add_endpoint(settings, "acme", "https://example.com/", ["invoice.finalized"])


def test_waits_grow_and_are_never_the_same_for_two() -> None:
    failed = Answer(None, "x")
    for attempts, wait in enumerate(WAITS, 1):
        state, seconds = outcome(attempts, failed)
        assert state == "waiting"
        assert wait * 0.8 <= seconds <= wait * 1.2
    assert len({outcome(3, failed) for _ in range(20)}) > 1
    assert outcome(len(WAITS) + 1, failed) == ("dead", 0)
    assert outcome(1, Answer(410)) == ("dead", 0)
    assert outcome(1, Answer(204)) == ("delivered", 0)
