"""What explains runs of committed models, read from Postgres: the run itself, and the invoice lines behind metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg.rows import dict_row

from valueverse.platform.value_store import STANDING_LINES

if TYPE_CHECKING:
    from datetime import date, datetime

    import psycopg

    Connection = psycopg.Connection[Any]


def run_named(connection: Connection, tenant: str, run_hash: str) -> dict[str, Any] | None:
    """The run of that hash: run_hash, commit_id, case_name, month, known_at, computed_at, content_hash, document."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "select run_hash, commit_id, case_name, month, known_at, computed_at, content_hash, document from value.run"
            " where tenant_id = %s and run_hash = %s",
            [tenant, run_hash],
        ).fetchone()


def lines_serving(
    connection: Connection,
    scope: tuple[str, str],
    currency: str | None,
    month: date,
    until: datetime,
    *,
    recurring: bool,
) -> list[dict[str, Any]]:
    """Standing invoice lines behind ``billing.invoiced_net`` of a customer and month or, recurring, ``billing.mrr``.

    Those whose service begins in the month; recurring: fees whose service has days in it.

    Args:
        connection: to the warehouse.
        scope: tenant and customer.
        currency: of the lines; None: any.
        month: its first day.
        until: only what was finalised, and not voided, by then.
        recurring: whether it is about ``billing.mrr``.

    Returns:
        invoice, key, kind, service_from, service_to (days), amount_minor after discounts, currency.
    """
    began = "date_trunc('month', line.service_from)::date = %(month)s"
    going = (
        "line.kind = 'fee' and line.service_from < %(month)s + interval '1 month'"
        " and greatest(line.service_to, line.service_from + 1) > %(month)s"
    )
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            f"""
            select line.* from (
                select i.number as invoice, l.key, l.kind, (l.service_from at time zone z.zone)::date as service_from,
                       (l.service_to at time zone z.zone)::date as service_to,
                       (l.amount_minor - l.discount_minor)::bigint as amount_minor, l.currency::text as currency
                  {STANDING_LINES} and i.customer = %(customer)s
                   and (%(currency)s::text is null or l.currency::text = %(currency)s)
                 order by i.sequence, l.line_no) as line
             where {going if recurring else began}
            """,  # noqa: S608 - constants
            {"tenants": [scope[0]], "customer": scope[1], "currency": currency, "month": month, "until": until},
        ).fetchall()
