"""Migration 0025: partitions of marts that exist move to the schema where new ones are made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from valueverse.platform import warehouse

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.security]


def test_partitions_that_lay_beside_their_marts_move_away_and_back(settings: Settings) -> None:
    with warehouse.connect(settings, "builder", autocommit=True) as builder:
        builder.execute("create table marts.fct (tenant_id text, amount int) partition by hash (tenant_id)")
        builder.execute(
            "create table marts_partitions.fct__p00 partition of marts.fct for values with (modulus 1, remainder 0)"
        )
        builder.execute("insert into marts.fct values ('acme', 1), ('other', 2)")
    rights = (
        "select n.nspname::text, has_table_privilege('valueverse_analyst', c.oid, 'select'), c.relforcerowsecurity, "
        "array(select polname::text from pg_policy where polrelid = c.oid) "
        "from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relname = 'fct__p00'"
    )
    seen = []
    for move in (lambda: warehouse.downgrade(settings, "0024"), lambda: warehouse.upgrade(settings)):
        move()
        with warehouse.connect(settings, "builder") as builder:
            seen += builder.execute(rights).fetchall()
            assert builder.execute("select sum(amount) from marts.fct").fetchone() == (3,)
    assert seen == [("marts", True, True, ["analyst_tenant"]), ("marts_partitions", False, True, [])]
