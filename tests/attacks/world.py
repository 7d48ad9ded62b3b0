"""A small world to attack: two tenants whose keys are all equal, a mart, two analysts."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from psycopg import ClientCursor

from valueverse.platform.access import analysts
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

OWN, OTHER = "acme", "birch"
ANALYST, UNMAPPED = "analyst_probe", "analyst_unmapped"
FAMILY = "11111111-1111-1111-1111-111111111111"
OF_BIRCH = "00000000-0000-4000-8000-00000000000b"
"""A family that tenant birch alone has."""
INVOICE = "22222222-2222-2222-2222-222222222222"
EMPTY = "44444444-4444-4444-4444-444444444444"
DRAFT = "33333333-3333-3333-3333-333333333333"

_MART = """
create table marts.probe (tenant_id text not null, secret text) partition by hash (tenant_id);
create table marts_partitions.probe__p00 partition of marts.probe for values with (modulus 2, remainder 0);
create table marts_partitions.probe__p01 partition of marts.probe for values with (modulus 2, remainder 1);
create view marts.probe_view as select * from marts.probe;
insert into marts.probe values ('acme', 'zz-acme-only');
insert into marts.probe select name, 'zz-birch-only' from unnest(array['birch', 'cedar', 'dune', 'elm', 'fig']) as name;
"""
"""As dbt makes them, by the builder, without rights or policies. Others have rows in both parts."""


def secret_of(tenant: str) -> str:
    """A text in many columns of this tenant's rows and of no other's."""
    return f"zz-{tenant}-only"


def seed(settings: Settings) -> str:
    """Fill a migrated warehouse; gives the password of both analysts."""
    rows = Path(__file__).with_name("world.sql").read_bytes()
    with connect(settings, "admin") as admin:
        for tenant, zone in ((OTHER, "Asia/Tokyo"), (OWN, "UTC")):
            values = {"t": tenant, "s": secret_of(tenant), "z": zone, "i": INVOICE, "d": DRAFT, "l": EMPTY, "f": FAMILY}
            ClientCursor(admin).execute(rows, values)
        admin.execute("insert into billing.invoice_void values ('birch', %s, 'wrong', now())", [INVOICE])
    with connect(settings, "builder") as builder:
        builder.execute(_MART.encode())
    analysts.add(settings, ANALYST.removeprefix("analyst_"), [OWN])
    analysts.add(settings, UNMAPPED.removeprefix("analyst_"), [OTHER])
    analysts.remove(settings, UNMAPPED.removeprefix("analyst_"), [OTHER])
    password = secrets.token_hex(12)
    with connect(settings, "admin") as admin:
        for login in (ANALYST, UNMAPPED):
            admin.execute(f"alter role {login} password '{password}'".encode())
    return password


def clear(settings: Settings) -> None:
    """Remove both analysts, which are the server's and not the database's."""
    for login in (ANALYST, UNMAPPED):
        analysts.remove(settings, login.removeprefix("analyst_"))
