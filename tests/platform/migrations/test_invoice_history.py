"""The history of an invoice after its migrations went down and up with rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from psycopg import errors

from tests.platform.migrations.test_migrations import refused
from valueverse.platform import warehouse

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration


def test_an_invoice_s_history_is_asked_for_after_the_migrations_went_down_and_up(settings: Settings) -> None:
    note = "insert into billing.credit_note values ('acme', 'n', 'acme-000001', null, null, 1, 'slow', now())"
    with warehouse.connect(settings, "builder", autocommit=True) as builder:
        builder.execute(note)
    warehouse.downgrade(settings, "0025")
    with warehouse.connect(settings, "api") as login:
        refused(login, "select * from api.invoice_history('acme', 'acme-000001')", errors.UndefinedFunction)
    warehouse.upgrade(settings)
    with warehouse.connect(settings, "api") as login:
        assert login.execute("select * from api.invoice_history('acme', 'nothing')").fetchall() == []
        refused(login, "select * from billing.credit_note", errors.InsufficientPrivilege)
    with warehouse.connect(settings, "builder") as builder:
        assert builder.execute("select reason from billing.credit_note").fetchall() == [("slow",)]
