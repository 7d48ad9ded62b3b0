"""Months that hold something, found by one query: the first partition stands for many, most of them empty."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valueverse.platform.queries import frame_of, values_of
from valueverse.schemas.invoicing import MONTHLY_TOTALS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    import polars as pl
    import psycopg

# An invoice belongs to the month of its tenant's calendar in which its period closes, one made at a subscription's
# start to the month of that start.
_INVOICES_BY_MONTH = """
    select
        invoice.tenant_id,
        invoice.invoice_id,
        invoice.number,
        invoice.currency,
        invoice.status,
        invoice.content_hash,
        invoice.total_minor,
        date_trunc(
            'month',
            case invoice.invoice_type
                when 'start' then invoice.period_from
                else invoice.period_to - interval '1 microsecond'
            end at time zone coalesce(zones.name, 'UTC')
        )::date as month
    from billing.invoice as invoice
    inner join billing.tenant as tenant using (tenant_id)
    left join pg_timezone_names as zones on tenant.timezone = zones.name
"""
# Months decided or measured before are looked at again: what they held may be gone.
_PUBLISHED = f"""
    select month from ({_INVOICES_BY_MONTH}) as invoice where tenant_id = any(%(tenants)s)
    union
    select date_trunc('month', day)::date from billing.usage_daily where tenant_id = any(%(tenants)s)
    union
    select date_trunc('month', day)::date from billing.event_day where tenant_id = any(%(tenants)s)
    union
    select to_date(period, 'YYYY-MM') from billing.release where tenant_id = any(%(tenants)s)
    union
    select month from value.metric where tenant_id = any(%(tenants)s)
"""  # noqa: S608 - the query is put together from the constant above alone
_MEASURED = """
    select generate_series(
        date_trunc('month', line.service_from at time zone 'UTC' - interval '1 day'),
        line.service_to at time zone 'UTC' + interval '1 day',
        interval '1 month'
    )::date as month
    from billing.invoice_line as line
    where line.tenant_id = any(%(tenants)s) and line.service_from < %(before)s
"""
_TOTALS = f"""
    select
        invoice.tenant_id::text as tenant,
        invoice.month,
        invoice.currency::text as currency,
        case when void.invoice_id is null then invoice.status else 'voided' end as status,
        count(*) as invoices,
        sum(invoice.total_minor) as total_minor
    from ({_INVOICES_BY_MONTH}) as invoice
    left join billing.invoice_void as void
        on invoice.tenant_id = void.tenant_id and invoice.invoice_id = void.invoice_id
    where invoice.month between %(first)s and %(last)s
    group by 1, 2, 3, 4
    order by 1, 2, 3, 4
"""  # noqa: S608 - the query is put together from constants of this module alone
# A sum does not depend on the order of its rows, so that nothing has to be sorted.
_STATES = f"""
    select
        greatest(invoice.month, %(earliest)s) as month,
        count(*) || ':' || sum(hashtextextended(
            concat_ws(
                '|', invoice.tenant_id, invoice.invoice_id, invoice.number, invoice.status, invoice.content_hash,
                void.voided_at at time zone 'UTC', note.credited
            ), 0
        )) as state
    from ({_INVOICES_BY_MONTH}) as invoice
    left join billing.invoice_void as void
        on invoice.tenant_id = void.tenant_id and invoice.invoice_id = void.invoice_id
    left join (
        select tenant_id, number, sum(amount) as credited from billing.credit_note group by 1, 2
    ) as note
        on invoice.tenant_id = note.tenant_id and invoice.number = note.number
    group by 1
"""  # noqa: S608 - the query is put together from constants of this module alone


def monthly_totals(connection: psycopg.Connection[Any], first: date, last: date) -> pl.DataFrame:
    """MONTHLY_TOTALS of all tenants, for the months from ``first`` to ``last`` (first days, both included)."""
    return frame_of(connection, _TOTALS, {"first": first, "last": last}, MONTHLY_TOTALS)


def invoice_states(connection: psycopg.Connection[Any], earliest: date) -> dict[date, str]:
    """Month -> a text that is another one when an invoice of the month is written, finalised, voided or credited.

    Of all tenants; months before ``earliest`` count as that one.
    """
    return dict(connection.execute(_STATES, {"earliest": earliest}).fetchall())


def published_months(connection: psycopg.Connection[Any], tenants: Sequence[str], before: date) -> set[date]:
    """First days of the months before ``before`` of which these tenants have something to publish."""
    return _months(connection, f"{_PUBLISHED}", tenants, before)


def measured_months(connection: psycopg.Connection[Any], tenants: Sequence[str], before: date) -> set[date]:
    """As ``published_months``, and the months that an invoice line serves."""
    return _months(connection, f"{_PUBLISHED} union {_MEASURED}", tenants, before)


def _months(connection: psycopg.Connection[Any], union: str, tenants: Sequence[str], before: date) -> set[date]:
    # The query is put together from the constants above alone.
    query = f"select distinct month from ({union}) as found where month < %(before)s"  # noqa: S608 - see above
    return set(values_of(connection, query, {"tenants": list(tenants), "before": before}))
