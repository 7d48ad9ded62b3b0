"""The inbox after its migration went down and up; with requests in it, it does not go down."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from valueverse.platform import warehouse

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration

RECEIVE = "select api.receive_events('acme', gen_random_uuid(), now(), 'b', 1, 1, 'k', 'root', 'key', '', true)"

SENT = (
    "select api.receive_events('acme', gen_random_uuid(), now(), null, 1, 1, 'k', 'root', 'key', '', false, 'a', '{7}')"
)


def test_an_inbox_with_requests_does_not_go_down_and_an_empty_one_comes_up_again(settings: Settings) -> None:
    with warehouse.connect(settings, "api") as login:
        login.execute(RECEIVE)
        login.execute(SENT)  # the topic has its event: it is no reason to stay
    with pytest.raises(psycopg.Error, match="run an ingestion first"):
        warehouse.downgrade(settings, "0028")
    with warehouse.connect(settings, "builder") as builder:
        assert builder.execute("delete from inbox.batch returning events").fetchall() == [(1,)]
    warehouse.downgrade(settings, "0028")
    with warehouse.connect(settings, "builder") as builder:
        builder.execute("insert into inbox.event (tenant_id, body) values ('acme', 'b')")
    warehouse.upgrade(settings)
    with warehouse.connect(settings, "api") as login:
        login.execute(RECEIVE)
    with (
        warehouse.connect(settings, "api") as login,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        login.execute("select * from inbox.batch")
    with warehouse.connect(settings, "builder") as builder:
        assert builder.execute("select tenant_id::text from inbox.batch").fetchall() == [("acme",)]
