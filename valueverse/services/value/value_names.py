"""Names that the commands on commits are given: a tenant, one of its customers, a commit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from valueverse.errors import RefusalError, near_names

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings
    from valueverse.platform.stores.tenant_records import TenantRecords

_PREFIX = re.compile(r"[0-9a-f]{8,64}")
_MOST_LISTED = 5
_LONGEST_NAME = 256
_MOST_COMPARED = 20_000


def known_tenant(records: TenantRecords, *, lock: bool = False) -> None:
    """Refuse a tenant that there is not.

    Args:
        records: the tenant's.
        lock: let nobody else write to its commits until the transaction ends.

    Raises:
        RefusalError: ``unknown_tenant``.
    """
    from valueverse.platform.stores.commit_store import is_known

    if not is_known(records, lock=lock):
        message = f"no tenant {records.tenant!r}; `valueverse tenants list` names them"
        raise RefusalError("unknown_tenant", message, "--tenant")


def named_commit(records: TenantRecords, given: str, path: str = "commit") -> str:
    """The id of the commit that is meant: given in full, or by its first eight digits or more.

    Raises:
        RefusalError: ``unknown_commit``; ``ambiguous_commit`` with those that begin so.
    """
    from valueverse.platform.stores.commit_store import named

    beginning = given.lower()
    found = named(records, beginning) if _PREFIX.fullmatch(beginning) else []
    if len(found) > 1:
        listed = ", ".join(found[:_MOST_LISTED]) + (" ..." if len(found) > _MOST_LISTED else "")
        raise RefusalError("ambiguous_commit", f"{given!r} begins {listed}: give more digits", path)
    if not found:
        cure = "`valueverse value log` lists them; their first 8 digits are enough"
        raise RefusalError(
            "unknown_commit", f"the tenant {records.tenant!r} has no commit {given[:64]!r}; {cure}", path
        )
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


def known_customer(records: TenantRecords, customer: str) -> None:
    """Refuse a customer whom no event of the tenant names: nothing would ever be measured of it.

    A customer is one that an event names, has a subscription, or used something; who came with the last delivery stands
    in the lake alone until the next billing run.

    Raises:
        RefusalError: ``unknown_customer``, with those of a like name.
    """
    from valueverse.platform.stores.value_store import customers

    if customers(records, customer):
        return
    known = _in_the_lake(records.settings, records.tenant)
    if customer in known:
        return
    known |= customers(records)
    near = near_names(customer, sorted(known)[:_MOST_COMPARED], most=3)
    meant = f": did you mean {' or '.join(map(repr, near))}?" if near else ": send its events first"
    message = f"the tenant {records.tenant!r} has no customer {customer[:128]!r}{meant}"
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
