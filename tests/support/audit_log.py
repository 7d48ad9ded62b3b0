"""Audit logs that are signed, and what an owner of the database does to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support import billing_rows
from valueverse.platform.warehouse import connect
from valueverse.services.audit.sign_log import sign_log

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

ACME = "acme"
MINE = "from audit.entry where tenant_id = 'acme'"
REBUILD = ("delete from audit.node where tenant_id = 'acme'", "select audit.add_nodes('{acme}', '{0}')")
"""What docs/runbooks/checks.md says to do where the entries hold and the nodes do not."""


@pytest.fixture
def seeded(settings: Settings) -> Settings:
    """Tenants with invoices and keys, whose logs are signed."""
    billing_rows.seed(settings)
    done = sign_log(settings, whole=True)
    assert done.findings.is_empty()
    return settings


def as_owner(settings: Settings, *statements: str) -> None:
    """What somebody does who owns the database: nothing stops it."""
    with connect(settings, "admin") as connection:
        connection.execute("set session_replication_role = replica")
        connection.execute("alter table audit.entry disable trigger insert_only")
        for statement in statements:
            connection.execute(statement)
        connection.execute("alter table audit.entry enable always trigger insert_only")
