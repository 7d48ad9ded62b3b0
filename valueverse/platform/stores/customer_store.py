"""Customers and subscriptions as the newest billing run recorded them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valueverse.platform.queries import rows_of

if TYPE_CHECKING:
    import psycopg

_CUSTOMERS = """
    select c.tenant_id::text as tenant, c.customer, c.name, c.email, c.country, c.currency::text as currency,
           c.timezone, count(s.subscription) filter (where s.status = 'active') as subscriptions,
           case when exists (
               select from vault.restriction as r where r.tenant_id = c.tenant_id and r.customer = c.customer
           ) then 'restricted' else 'recorded' end as status
      from billing.customer as c
      left join billing.subscription as s on s.tenant_id = c.tenant_id and s.customer = c.customer
     where %(tenant)s::text is null or c.tenant_id = %(tenant)s
     group by c.tenant_id, c.customer
     order by c.tenant_id, c.customer
     limit %(most)s"""

_SUBSCRIPTIONS = """
    select tenant_id::text as tenant, subscription, customer, plan, plan_version, status, currency::text as currency,
           timezone, started_at, ended_at
      from billing.subscription
     where (%(tenant)s::text is null or tenant_id = %(tenant)s)
       and (%(customer)s::text is null or customer = %(customer)s)
     order by tenant_id, customer, subscription
     limit %(most)s"""


def customers(connection: psycopg.Connection[Any], tenant: str | None, most: int) -> list[dict[str, Any]]:
    """At most ``most`` customers with the number of their active subscriptions, by tenant and key; None: of all.

    ``status`` is ``restricted`` while data about the customer is on hold, else ``recorded``.
    """
    return rows_of(connection, _CUSTOMERS, {"tenant": tenant, "most": most})


def subscriptions(
    connection: psycopg.Connection[Any], tenant: str | None, customer: str | None, most: int
) -> list[dict[str, Any]]:
    """At most ``most`` subscriptions, by tenant, customer and key; None: of all."""
    return rows_of(connection, _SUBSCRIPTIONS, {"tenant": tenant, "customer": customer, "most": most})
