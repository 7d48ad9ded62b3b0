"""What commands on commits ask of Postgres: a run, the invoice lines behind metrics, customers, what is proposed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valueverse.platform.queries import row_of, rows_of, values_of
from valueverse.platform.stores.proposal_store import proposals
from valueverse.platform.stores.value_store import EFFECTIVE_LINES

if TYPE_CHECKING:
    from datetime import date, datetime

    import psycopg

    Connection = psycopg.Connection[Any]


def run_named(connection: Connection, tenant: str, run_hash: str) -> dict[str, Any] | None:
    """The run of that hash: run_hash, commit_id, case_name, month, known_at, computed_at, content_hash, document."""
    return row_of(
        connection,
        "select run_hash, commit_id, case_name, month, known_at, computed_at, content_hash, document from value.run"
        " where tenant_id = %s and run_hash = %s",
        [tenant, run_hash],
    )


_BEGAN = "date_trunc('month', line.service_from)::date = %(month)s"
LINES_OF_METRIC = {
    "billing.invoiced_net": f"line.kind <> 'outcome' and {_BEGAN}",
    "billing.outcome_fees": f"line.kind = 'outcome' and {_BEGAN}",
    "billing.mrr": "line.kind = 'fee' and line.service_from < %(month)s + interval '1 month'"
    " and greatest(line.service_to, line.service_from + 1) > %(month)s",
}
"""Which invoice lines a metric is made of."""


def lines_serving(
    connection: Connection, metric: str, scope: tuple[str, str], currency: str | None, month: date, until: datetime
) -> list[dict[str, Any]]:
    """Standing invoice lines behind a metric of a customer and month.

    Args:
        connection: to the warehouse.
        metric: one of BEHIND.
        scope: tenant and customer.
        currency: of the lines; None: any.
        month: its first day.
        until: only what was finalised, and not voided, by then.

    Returns:
        invoice, key, kind, service_from, service_to (days), amount_minor after discounts, currency.
    """
    return rows_of(
        connection,
        f"""
        select line.* from (
            select i.number as invoice, l.key, l.kind, (l.service_from at time zone z.zone)::date as service_from,
                   (l.service_to at time zone z.zone)::date as service_to,
                   (l.amount_minor - l.discount_minor)::bigint as amount_minor, l.currency::text as currency
              {EFFECTIVE_LINES} and i.customer = %(customer)s
               and (%(currency)s::text is null or l.currency::text = %(currency)s)
             order by i.sequence, l.line_no) as line
         where {LINES_OF_METRIC[metric]}
        """,  # noqa: S608 - constants
        {"tenants": [scope[0]], "customer": scope[1], "currency": currency, "month": month, "until": until},
    )


_CUSTOMERS = """
select customer from billing.customer where tenant_id = %(tenant)s
union select customer from billing.usage_daily where tenant_id = %(tenant)s
union select customer from billing.unbilled_usage where tenant_id = %(tenant)s
"""
"""Customers that a billing event or a usage event names."""


def has_customer(connection: Connection, tenant: str, customer: str) -> bool:
    """Whether the last billing run knew a customer of that key."""
    query = f"select from ({_CUSTOMERS}) as known where customer = %(customer)s limit 1"
    return connection.execute(query, {"tenant": tenant, "customer": customer}).fetchone() is not None


def customers(connection: Connection, tenant: str) -> set[str]:
    """Keys of the customers that the last billing run knew."""
    return set(values_of(connection, _CUSTOMERS, {"tenant": tenant}))


def proposed_from(
    connection: Connection, tenant: str, of: tuple[str, str], day: date, commit: str
) -> dict[str, Any] | None:
    """The last proposal, not withdrawn, of other commits, for months from ``day`` on; None: there is none.

    Args:
        connection: to the warehouse.
        tenant: whose.
        of: model and customer.
        day: first day of a month.
        commit: whose own proposals do not count.

    Returns:
        proposal, commit_id, first_day, last_day, invoice (null: none bills it).
    """
    found = (
        row
        for row in proposals(connection, tenant)
        if (row["model"], row["customer"]) == of
        and row["commit_id"] != commit
        and row["verdict"] != "withdrawn"
        and row["last_day"] >= day
    )
    return max(found, key=lambda row: row["last_day"], default=None)
