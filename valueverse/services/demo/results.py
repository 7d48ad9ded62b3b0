"""What the demonstration came to, read from the warehouse: invoices, refusals, comparisons, value and fees."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, LiteralString, TypeVar

from psycopg.rows import class_row

from valueverse.money import minor_units
from valueverse.platform.warehouse import connect
from valueverse.services.tenant_holds import held_lines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date, datetime

    import psycopg

    from valueverse.platform.settings import Settings

Row = TypeVar("Row")


@dataclass(frozen=True)
class Invoice:
    """One invoice or draft; the period in the tenant's time zone, end excluded."""

    tenant: str
    number: str | None
    customer: str
    status: str
    currency: str
    total_minor: int
    issued_on: date
    period_from: datetime
    period_to: datetime


@dataclass(frozen=True)
class Ingested:
    """A tenant's lines: received = accepted + duplicate + quarantined; accepted = billed + unbilled."""

    tenant: str
    received: int
    accepted: int
    duplicate: int
    quarantined: int
    billed: int
    unbilled: int


@dataclass(frozen=True)
class Counted:
    """Events that were not taken, or not billed, for one reason."""

    tenant: str
    reason: str
    events: int
    example: str


@dataclass(frozen=True)
class Rejected:
    """A billing event that cannot be obeyed."""

    tenant: str
    type: str
    reason: str
    message: str


@dataclass(frozen=True)
class Compared:
    """Comparisons of one kind with an independent recomputation, and the sum of their differences."""

    tenant: str
    check_name: str
    compared: int
    agreeing: int
    difference: Decimal


@dataclass(frozen=True)
class Realised:
    """A month measured by a committed model: committed and realised benefit (major units), the fee proposed."""

    customer: str
    month: date
    currency: str
    committed: Decimal
    realised: Decimal
    fee: Decimal
    proposal: str


@dataclass(frozen=True)
class DemoResults:
    """All of it, each list in the order in which it is shown.

    Attributes:
        invoices: by tenant and number, drafts last.
        ingested: by tenant.
        quarantined: by tenant, most events first.
        unbilled: likewise.
        rejected: by tenant.
        compared: by tenant and check.
        realised: by proposal.
        held: tenants that are held, a sentence each.
        fingerprint: of all finalised invoices: equal results, equal fingerprints.
    """

    invoices: list[Invoice]
    ingested: list[Ingested]
    quarantined: list[Counted]
    unbilled: list[Counted]
    rejected: list[Rejected]
    compared: list[Compared]
    realised: list[Realised]
    held: list[str]
    fingerprint: str


_INVOICES = """
select i.tenant_id as tenant, i.number, i.customer, i.status, i.currency, i.total_minor, i.issued_on,
       i.period_from at time zone t.timezone as period_from, i.period_to at time zone t.timezone as period_to
from billing.invoice i join billing.tenant t using (tenant_id)
order by i.tenant_id, i.sequence nulls last, i.invoice_id"""

_INGESTED = """
with file as (
    select tenant_id, sum(received)::bigint as received, sum(accepted)::bigint as accepted,
           sum(duplicate)::bigint as duplicate, sum(quarantined)::bigint as quarantined
    from billing.ingestion_file group by tenant_id
), day as (
    select tenant_id, sum(billed)::bigint as billed, sum(unbilled)::bigint as unbilled
    from billing.event_day group by tenant_id
)
select tenant_id as tenant, received, accepted, duplicate, quarantined, coalesce(billed, 0) as billed,
       coalesce(unbilled, 0) as unbilled
from file left join day using (tenant_id) order by tenant_id"""

_QUARANTINED = """
select tenant_id as tenant, reason, sum(events)::bigint as events, coalesce(min(example), '') as example
from billing.quarantine_summary group by 1, 2 order by 1, 3 desc, 2"""

_UNBILLED = """
select tenant_id as tenant, reason, sum(events)::bigint as events, '' as example
from billing.unbilled_usage group by 1, 2 order by 1, 3 desc, 2"""

_REJECTED = "select tenant_id as tenant, type, reason, message from billing.rejected_event order by 1, 2, 3, 4"

_COMPARED = """
select tenant_id as tenant, check_name, count(*) as compared, count(*) filter (where ok) as agreeing,
       coalesce(sum(abs(difference)), 0) as difference
from billing.reconciliation group by 1, 2 order by 1, 2"""

_REALISED = """
select p.customer, c.month, p.currency, max(x.value) filter (where c.case_name = 'committed')::numeric as committed,
       max(x.value) filter (where c.run_hash = p.run_hash)::numeric as realised, p.amount as fee, p.proposal
from value.proposal p
join value.run r on r.tenant_id = p.tenant_id and r.run_hash = p.run_hash
join value.run c on c.tenant_id = p.tenant_id and c.commit_id = r.commit_id and c.month = r.month
join value.result x on x.tenant_id = c.tenant_id and x.run_hash = c.run_hash and x.name = 'benefit'
group by p.tenant_id, p.customer, c.month, p.currency, p.amount, p.proposal order by p.proposal"""


def demo_results(settings: Settings) -> DemoResults:
    """What the warehouse holds of it now."""
    with connect(settings, "builder") as connection:
        return DemoResults(
            _rows(connection, Invoice, _INVOICES),
            _rows(connection, Ingested, _INGESTED),
            _rows(connection, Counted, _QUARANTINED),
            _rows(connection, Counted, _UNBILLED),
            _rows(connection, Rejected, _REJECTED),
            _rows(connection, Compared, _COMPARED),
            _rows(connection, Realised, _REALISED),
            held_lines(settings),
            _fingerprint(connection),
        )


def invoice_documents(settings: Settings) -> Iterator[str]:
    """Every finalised invoice as one line of JSON, by tenant and number."""
    with connect(settings, "builder") as connection, connection.cursor() as cursor:
        cursor.execute("select document from billing.invoice where status = 'finalised' order by tenant_id, sequence")
        for (document,) in cursor:
            yield " ".join(str(document).splitlines())


def money(minor: int, currency: str) -> str:
    """Minor units as the amount with its currency, e.g. ``78.81 USD``."""
    decimals = minor_units(currency)
    return f"{Decimal(minor).scaleb(-decimals):,.{decimals}f} {currency}"


def _rows(connection: psycopg.Connection[Any], kind: type[Row], query: LiteralString) -> list[Row]:
    with connection.cursor(row_factory=class_row(kind)) as cursor:
        return cursor.execute(query).fetchall()


def _fingerprint(connection: psycopg.Connection[Any]) -> str:
    """SHA-256 over number and content hash of every finalised invoice, shortened."""
    rows = connection.execute(
        "select tenant_id, number, content_hash from billing.invoice "
        "where status = 'finalised' order by tenant_id, sequence"
    ).fetchall()
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]
