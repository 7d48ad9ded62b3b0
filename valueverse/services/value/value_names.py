"""Names that the commands on commits are given: a tenant, one of its customers, a commit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from valueverse.errors import RefusalError, near_names

if TYPE_CHECKING:
    import psycopg

    from valueverse.platform.settings import Settings

_KNOWN = "select 1 from billing.tenant where tenant_id = %s"
_LOCKED = "select 1 from billing.tenant where tenant_id = %s for update"
_PREFIX = re.compile(r"[0-9a-f]{8,64}")
_MOST_LISTED = 5
_LONGEST_NAME = 256
_MOST_COMPARED = 20_000


def known_tenant(connection: psycopg.Connection[Any], tenant: str, *, lock: bool = False) -> None:
    """Refuse a tenant that there is not.

    Args:
        connection: to the warehouse.
        tenant: its key.
        lock: let nobody else write to its commits until the transaction ends.

    Raises:
        RefusalError: ``unknown_tenant``.
    """
    query = _LOCKED if lock else _KNOWN
    if not connection.execute(query, [tenant]).fetchone():
        raise RefusalError("unknown_tenant", f"no tenant {tenant!r}; `valueverse tenants list` names them", "--tenant")


def named_commit(connection: psycopg.Connection[Any], tenant: str, given: str, path: str = "commit") -> str:
    """The id of the commit that is meant: given in full, or by its first eight digits or more.

    Raises:
        RefusalError: ``unknown_commit``; ``ambiguous_commit`` with those that begin so.
    """
    from valueverse.platform.stores.commit_store import named

    beginning = given.lower()
    found = named(connection, tenant, beginning, _MOST_LISTED + 1) if _PREFIX.fullmatch(beginning) else []
    if len(found) > 1:
        listed = ", ".join(found[:_MOST_LISTED]) + (" ..." if len(found) > _MOST_LISTED else "")
        raise RefusalError("ambiguous_commit", f"{given!r} begins {listed}: give more digits", path)
    if not found:
        cure = "`valueverse value log` lists them; their first 8 digits are enough"
        raise RefusalError("unknown_commit", f"the tenant {tenant!r} has no commit {given[:64]!r}; {cure}", path)
    return found[0]


def person(name: str, path: str) -> str:
    """Who does something, without blanks around the name: ann does not approve as `ann ` what ann wrote.

    Raises:
        RefusalError: ``missing_name``, ``bad_name``.
    """
    found = " ".join(name.split())
    if not found:
        raise RefusalError("missing_name", "say who: the name is empty", path)
    if len(found) > _LONGEST_NAME or not found.isprintable():
        message = f"{found[:40]!r} is no name: printable text of up to {_LONGEST_NAME} characters"
        raise RefusalError("bad_name", message, path)
    return found


def known_customer(settings: Settings, connection: psycopg.Connection[Any], tenant: str, customer: str) -> None:
    """Refuse a customer whom no event of the tenant names: nothing would ever be measured of it.

    A customer is one that an event names, has a subscription, or used something; who came with the last delivery stands
    in the lake alone until the next billing run.

    Raises:
        RefusalError: ``unknown_customer``, with those of a like name.
    """
    from valueverse.platform.stores.run_lookup import customers, has_customer

    if has_customer(connection, tenant, customer):
        return
    known = _in_the_lake(settings, tenant)
    if customer in known:
        return
    known |= customers(connection, tenant)
    near = near_names(customer, sorted(known)[:_MOST_COMPARED], most=3)
    meant = f": did you mean {' or '.join(map(repr, near))}?" if near else ": send its events first"
    message = f"the tenant {tenant!r} has no customer {customer[:128]!r}{meant}"
    raise RefusalError("unknown_customer", message, "--customer")


def _in_the_lake(settings: Settings, tenant: str) -> set[str]:
    import polars as pl

    from valueverse.catalog import CatalogHistory
    from valueverse.platform.lake import Lake
    from valueverse.services.lake_tables import BILLING_FACTS_TABLE, USAGE_TABLE
    from valueverse.subscriptions import build_timeline

    lake, mine = Lake(settings.lake_url), pl.col("tenant") == tenant
    facts = lake.scan(BILLING_FACTS_TABLE).filter(mine).collect()
    timeline = build_timeline(facts, CatalogHistory.from_facts(facts).plans, None)
    used = lake.scan(USAGE_TABLE).filter(mine).select(pl.col("customer").unique()).collect()
    sources = (timeline.customers["customer"], timeline.segments["customer"], used["customer"])
    return {name for names in sources for name in names.drop_nulls()}
