"""Invoices to be listed and shown, and the names and addresses of who issued and who receives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valueverse.platform.queries import row_of, rows_of

if TYPE_CHECKING:
    from datetime import datetime

    import psycopg

_LIST = """
    select i.tenant_id::text as tenant, i.number, i.customer, i.subscription, i.currency::text as currency,
           case when v.invoice_id is null then i.status else 'voided' end as status,
           i.period_from, i.period_to, i.issued_on, i.due_on, i.total_minor, i.amount_due_minor,
           c.timezone as buyer_timezone, t.timezone as seller_timezone
      from billing.invoice as i
      left join billing.tenant as t on t.tenant_id = i.tenant_id
      left join billing.customer as c on c.tenant_id = i.tenant_id and c.customer = i.customer
      left join billing.invoice_void as v on v.tenant_id = i.tenant_id and v.invoice_id = i.invoice_id
     where (%(tenant)s::text is null or i.tenant_id = %(tenant)s)
       and (%(customer)s::text is null or i.customer = %(customer)s)
       and (%(status)s::text is null or %(status)s = case when v.invoice_id is null then i.status else 'voided' end)
       and (%(runs)s::text[] is null or i.run_id = any(%(runs)s))
     order by i.tenant_id, i.issued_on desc, i.sequence desc nulls first, i.invoice_id
     limit %(most)s"""

_ONE = """
    select i.tenant_id::text as tenant, i.document, v.invoice_id is not null as voided,
           t.name as seller, t.country as seller_country, t.tax_id as seller_tax_id, t.address::text as seller_address,
           t.invoicing::text as seller_invoicing, t.timezone as seller_timezone,
           c.name as buyer, c.country as buyer_country, c.timezone as buyer_timezone,
           c.metadata::text as buyer_metadata,
           (select k.document::text from billing.catalog as k
             where k.tenant_id = i.tenant_id and k.catalog_hash = i.catalog_hash limit 1) as catalog,
           billing.invoice_history(i.tenant_id, i.number, %(known_at)s)::text as history
      from billing.invoice as i
      left join billing.invoice_void as v on v.tenant_id = i.tenant_id and v.invoice_id = i.invoice_id
       and (%(known_at)s::timestamptz is null or v.known_since <= %(known_at)s)
      left join billing.known_tenant(i.tenant_id, %(known_at)s) as t on t.tenant_id = i.tenant_id
      left join billing.known_customer(i.tenant_id, i.customer, %(known_at)s) as c on c.tenant_id = i.tenant_id
     where i.number = %(number)s and (%(known_at)s::timestamptz is null or i.finalised_at <= %(known_at)s)"""

_NOTES = """
    select n.credit_note as key, n.reason, n.created_at, min(e.date)::text as issued_on,
           -sum(p.amount_minor) filter (where p.account = 'receivable') as amount_minor,
           coalesce(sum(p.amount_minor) filter (where p.account = 'tax_payable'), 0) as tax_minor
      from billing.credit_note as n
      join billing.journal_entry as e
        on e.tenant_id = n.tenant_id and e.kind = 'credit_note' and e.reference = n.credit_note
      join billing.journal_posting as p on p.tenant_id = e.tenant_id and p.entry_id = e.entry_id
     where n.tenant_id = %(tenant)s and n.number = %(number)s
       and (%(known_at)s::timestamptz is null or e.booked_at <= %(known_at)s)
     group by n.credit_note, n.reason, n.created_at
    having sum(p.amount_minor) filter (where p.account = 'receivable') < 0
     order by n.created_at, n.credit_note"""


def listed(
    connection: psycopg.Connection[Any],
    tenant: str | None = None,
    customer: str | None = None,
    status: str | None = None,
    runs: list[str] | None = None,
    *,
    most: int,
) -> list[dict[str, Any]]:
    """At most ``most`` invoices, those of a tenant together, the latest issued first; None: whatever it is.

    ``runs``: those that were written by one of these runs.
    """
    chosen = {"tenant": tenant, "customer": customer, "status": status, "runs": runs, "most": most}
    return rows_of(connection, _LIST, chosen)


def by_number(
    connection: psycopg.Connection[Any], number: str, known_at: datetime | None = None
) -> dict[str, Any] | None:
    """A finalised invoice's document, whether it is voided, the parties as they state themselves, the catalog that it
    was billed by, and what became of it since; ``known_at``: as known at that instant, None: now."""
    return row_of(connection, _ONE, {"number": number, "known_at": known_at})


def credit_notes(
    connection: psycopg.Connection[Any], tenant: str, number: str, known_at: datetime | None = None
) -> list[dict[str, Any]]:
    """Credit notes of an invoice as they are booked, by the time of their issue: ``key`` (source#id of the event),
    ``reason``, ``issued_on`` (the tenant's day), ``amount_minor`` (tax included) and the ``tax_minor`` in it."""
    return rows_of(connection, _NOTES, {"tenant": tenant, "number": number, "known_at": known_at})
