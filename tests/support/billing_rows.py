"""Billing rows of three tenants, as the assets would have written them: small enough to reckon by hand."""

from __future__ import annotations

import hashlib
import json
import uuid
from typing import TYPE_CHECKING, Any

from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    import psycopg

    from valueverse.platform.settings import Settings

TENANTS = ("acme", "birch", "cedar")
MONTHS = ("2023-10", "2023-11")
_AFTER = {"2023-10": "2023-11-01", "2023-11": "2023-12-01"}


def invoice_id(tenant: str, month: str) -> uuid.UUID:
    """The identifier of the one invoice of a tenant and month."""
    return uuid.uuid5(uuid.NAMESPACE_URL, f"{tenant}/{month}")


def secret_of(tenant: str) -> str:
    """A text that stands in many columns of this tenant's rows and in no other tenant's."""
    return f"zz-{tenant}-only"


def seed(settings: Settings, tenants: Collection[str] = TENANTS) -> None:
    """Write customers, plans, subscriptions and a finalised invoice of 25.00 + 46.12 per tenant and month."""
    with connect(settings, "builder") as connection:
        for tenant in tenants:
            _reference_data(connection, tenant)
            _value(connection.execute, tenant)
            for sequence, month in enumerate(MONTHS, start=1):
                _month(connection, tenant, month, sequence)
            connection.execute(
                "insert into billing.invoice_sequence values (%s, %s, %s)", [tenant, len(MONTHS), "chain 2"]
            )


def release(settings: Settings, status: str = "released", tenants: tuple[str, ...] = TENANTS) -> None:
    """Record the gate's decision for both months."""
    with connect(settings, "builder") as connection:
        for tenant in tenants:
            for month in MONTHS:
                connection.execute(
                    "insert into billing.release values (%s, %s, %s, null, 'test', now()) "
                    "on conflict (tenant_id, period) do update set status = excluded.status, decided_at = "
                    "now()",
                    [tenant, month, status],
                )


def money_in(settings: Settings) -> None:
    """50.00 of each tenant's first invoice paid, and 20.00 of credit bought."""
    with connect(settings, "builder") as connection:
        for tenant in TENANTS:
            number, day, wallet = f"{tenant}-000001", "2023-11-15", f"key {secret_of(tenant)}"
            paid = [("cash", None, None, 5000), ("receivable", number, None, -5000)]
            bought = [("cash", None, None, 2000), ("customer_credit", None, wallet, -2000)]
            _book(connection.execute, tenant, "payment_received", f"source {secret_of(tenant)}#e0", day, paid)
            _book(connection.execute, tenant, "wallet_purchased", f"source {secret_of(tenant)}#e1", day, bought)


def _reference_data(connection: psycopg.Connection[Any], tenant: str) -> None:
    secret = secret_of(tenant)
    run = connection.execute
    run(
        "insert into billing.tenant (tenant_id, name, timezone, currency) values (%s, %s, 'UTC', 'USD')",
        [tenant, secret],
    )
    run(
        "insert into billing.customer (tenant_id, customer, name, email, metadata) values (%s, %s, %s, %s, %s)",
        [tenant, f"customer {secret}", secret, f"{secret}@example.com", json.dumps({"note": secret})],
    )
    run(
        "insert into billing.rejected_event values "
        "(%s, %s, 'e1', 'billing.subscription.changed', 'unknown_plan', %s, '2023-10-05T00:00:00Z', now())",
        [tenant, f"source {secret}", f"no catalog in force then has the plan '{secret}'"],
    )
    run(
        "insert into billing.ignored_file values (%s, %s, 'its name does not end in .ndjson', now())",
        [tenant, f"{tenant}/{secret}.txt"],
    )
    plan = {"key": "pro", "fees": [{"key": "platform"}], "charges": [{"key": "tokens", "meter": "tokens"}]}
    run(
        "insert into billing.plan values (%s, 'pro', 1, %s, 'USD', 1, 'month', 'calendar', %s)",
        [tenant, f"hash {secret}", json.dumps(plan)],
    )
    run(
        "insert into billing.subscription values "
        "(%s, %s, %s, 'pro', 1, 'UTC', 'USD', '2023-10-01', '2023-10-01T00:00:00Z', null, 'active')",
        [tenant, f"subscription {secret}", f"customer {secret}"],
    )


def _value(run: Callable[..., object], tenant: str) -> None:
    """A commitment of 40 a month, 50 of it realised in November, and a fee of 10 proposed."""
    customer = f"customer {secret_of(tenant)}"
    commit = hashlib.sha256(f"commit of {tenant}".encode()).hexdigest()
    document = {"model": {"currency": "USD"}, "customer": customer, "scenario": "agreed", "start": "2023-11-01"}
    run(
        "insert into value.commit (tenant_id, commit_id, sequence, model, author, parent, document, chain_hash, "
        "committed_at) values (%s, %s, 1, 'saved', 'ann', null, %s, 'chain', '2023-10-01T00:00:00Z')",
        [tenant, commit, json.dumps(document)],
    )
    for side in ("vendor", "customer"):
        run("insert into value.approval values (%s, %s, %s, %s, '2023-10-02T00:00:00Z')", [tenant, commit, side, side])
    for case, value in (("committed", 40), ("forecast", 50), ("realised", 50)):
        hashed = hashlib.sha256(f"{case} {tenant}".encode()).hexdigest()
        run(
            "insert into value.run values (%s, %s, %s, %s, '2023-11-01', '2023-12-01T00:00:00Z', %s, '{}', 'test', "
            "'2023-12-02T00:00:00Z')",
            [tenant, hashed, commit, case, hashed],
        )
        for name in ("benefit", "total_benefit"):
            run("insert into value.result values (%s, %s, %s, %s, 'USD')", [tenant, hashed, name, value])
    run(
        "insert into value.proposal values (%s, %s, %s, %s, 'saved', %s, %s, 'value', '2023-11-01T00:00:00Z', "
        "'2023-12-01T00:00:00Z', 50, 10, 'none', 10, 'USD', '2023-12-02T00:00:00Z', '2024-01-01T00:00:00Z')",
        [tenant, f"proposal {secret_of(tenant)}", commit, hashed, customer, f"subscription {secret_of(tenant)}"],
    )
    for metric, currency, value in (
        ("billing.invoiced_net", "USD", "71.12"),
        ("billing.contracted_mrr", "USD", "25"),
        ("usage.tokens", None, "15373.4"),
    ):
        run(
            "insert into value.metric values (%s, %s, %s, '2023-11-01', %s, %s, '2023-12-01T00:00:00Z')",
            [tenant, metric, customer, currency, value],
        )


def _journal(run: Callable[..., object], tenant: str, month: str, number: str) -> None:
    """The invoice booked: the fee of 25.00 deferred, and earned on the next day."""
    after = _AFTER[month]
    for kind, date, postings in (
        ("invoice", after, (("receivable", 7112), ("revenue", -4612), ("deferred_revenue", -2500))),
        ("revenue_recognition", f"{after[:8]}02", (("deferred_revenue", 2500), ("revenue", -2500))),
    ):
        _book(run, tenant, kind, number, date, [(account, number, None, amount) for account, amount in postings])


def _book(
    run: Callable[..., object], tenant: str, kind: str, reference: str, date: str,
    postings: Sequence[tuple[str, str | None, str | None, int]],
) -> None:  # fmt: skip
    """Book an entry in USD: account, invoice, wallet and minor units of each posting, all of the tenant's customer."""
    entry = hashlib.sha256(f"{tenant} {kind} {reference}".encode()).hexdigest()
    run(
        "insert into billing.journal_entry (tenant_id, entry_id, kind, reference, date, currency, revision, "
        "booked_at) values (%s, %s, %s, %s, %s, 'USD', 0, %s)",
        [tenant, entry, kind, reference, date, f"{date}T00:00:00Z"],
    )
    columns = [list(column) for column in zip(*postings, strict=True)]
    run(
        "insert into billing.journal_posting (tenant_id, entry_id, position, account, customer, invoice, wallet, "
        "amount_minor, currency) select %s, %s, place, account, %s, invoice, wallet, amount, 'USD' "
        "from unnest(%s::text[], %s::text[], %s::text[], %s::bigint[]) with ordinality "
        "as p(account, invoice, wallet, amount, place)",
        [tenant, entry, f"customer {secret_of(tenant)}", *columns],
    )


def _parts(run: Callable[..., object], tenant: str, invoice: uuid.UUID) -> None:
    """A tax of nothing, and a discount and a credit that are given back: the totals stay as they are."""
    named, origin = f"key {secret_of(tenant)}", f"source {secret_of(tenant)}#e1"
    run("insert into billing.invoice_tax values (%s, %s, 1, %s, 0, 7112, 0)", [tenant, invoice, named])
    for position, amount in ((1, 100), (2, -100)):
        run(
            "insert into billing.invoice_discount values (%s, %s, %s, %s, %s, %s)",
            [tenant, invoice, position, named, origin, amount],
        )
        run(
            "insert into billing.invoice_credit values (%s, %s, %s, 'wallet', %s, %s, %s)",
            [tenant, invoice, position, named, origin, amount],
        )


def _month(connection: psycopg.Connection[Any], tenant: str, month: str, sequence: int) -> None:
    secret = secret_of(tenant)
    first, after, number = f"{month}-01", _AFTER[month], f"{tenant}-{sequence:06d}"
    run = connection.execute
    identifier = invoice_id(tenant, month)
    run(
        "insert into billing.invoice (tenant_id, invoice_id, status, customer, subscription, currency, "
        "period_from, "
        "period_to, invoice_type, issued_on, subtotal_minor, discount_total_minor, tax_total_minor, total_minor, "
        "credit_total_minor, amount_due_minor, events_known_at, document, content_hash) values "
        "(%s, %s, 'draft', %s, %s, 'USD', %s, %s, 'period', %s, 7112, 0, 0, 7112, 0, 7112, %s, %s, %s)",
        [
            tenant,
            identifier,
            f"customer {secret}",
            f"subscription {secret}",
            f"{first}T00:00:00Z",
            f"{after}T00:00:00Z",
            after,
            f"{after}T00:00:00Z",
            json.dumps({"total": "71.12"}),
            f"content {secret}",
        ],
    )
    for line_no, key, kind, quantity, amount in (
        (1, "platform", "fee", None, 2500),
        (2, "tokens", "usage", "15373.4", 4612),
    ):
        run(
            "insert into billing.invoice_line values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, "
            "'USD', 2, null)",
            [
                tenant,
                identifier,
                line_no,
                key,
                kind,
                secret,
                "tokens" if quantity else None,
                None,
                f"{first}T00:00:00Z",
                f"{after}T00:00:00Z",
                quantity,
                f"{amount / 100:.2f}",
                amount,
            ],
        )
    _parts(run, tenant, identifier)
    run(
        "update billing.invoice set status = 'finalised', number = %s, sequence = %s, finalised_at = now(), "
        "previous_hash = %s, chain_hash = %s where tenant_id = %s and invoice_id = %s",
        [
            number,
            sequence,
            None if sequence == 1 else f"chain {sequence - 1}",
            f"chain {sequence}",
            tenant,
            identifier,
        ],
    )
    _journal(run, tenant, month, number)
    for day, quantity in ((f"{month}-05", "10000"), (f"{month}-28", "5373.4")):
        run(
            "insert into billing.usage_daily values (%s, %s, %s, 'tokens', %s, '', %s, 1, 'sum')",
            [tenant, f"customer {secret}", f"subscription {secret}", day, quantity],
        )
        run("insert into billing.event_day values (%s, %s, 1, 1, 0)", [tenant, day])
    run(
        "insert into billing.ingestion_file values (%s, %s, %s, %s, 4, 2, 1, 1, 0, now())",
        [tenant, f"{month}-{secret}.ndjson", f"file {secret}", after],
    )
    run(
        "insert into billing.quarantine_summary values (%s, %s, %s, 'bad_time', 1, %s)",
        [tenant, f"file {secret}", f"{month}-{secret}.ndjson", secret],
    )
    run(
        "insert into billing.reconciliation values (%s, 'usage:tokens', %s, 15373.4, 15373.4, 0, true, "
        "null, 'test', now())",
        [tenant, month],
    )
