"""Endpoints of webhooks and what is delivered to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valueverse.platform.queries import row_of, value_of

if TYPE_CHECKING:
    from datetime import datetime

    import polars as pl
    import psycopg

    Connection = psycopg.Connection[Any]

# It stays due while it is tried: a worker that dies is followed by the next one. The attempt is recorded before
# anything is sent, so that one whose worker dies has its record too.
_BEGIN = """
    with taken as (
        update billing.webhook_delivery as d
           set attempts = d.attempts + 1
         where d.tenant_id = %(tenant)s and d.delivery = %(delivery)s and d.state = 'waiting' and d.due_at <= now()
        returning d.*),
    recorded as (
        insert into billing.webhook_attempt (tenant_id, delivery, reason, milliseconds)
        select t.tenant_id, t.delivery, 'it has not ended', 0 from taken as t
        returning tenant_id, attempt_id)
    select t.tenant_id as tenant, t.delivery, t.endpoint, t.message_id, t.body, t.attempts, r.attempt_id, e.url,
           e.secret_version, coalesce(e.previous_until > now(), false) as signs_previous
      from taken as t
      join recorded as r on r.tenant_id = t.tenant_id
      join billing.webhook_endpoint as e on e.tenant_id = t.tenant_id and e.endpoint = t.endpoint"""

_FAILED_PAYMENTS = """
    select billing.notify_endpoints(jsonb_agg(jsonb_build_object(
               'tenant', f.tenant_id, 'type', 'payment.failed', 'object', f.origin, 'since', f.received_at,
               'data', jsonb_build_object('payment', f.origin, 'invoice', f.number, 'customer', f.customer))))
      from unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::timestamptz[])
           as f (tenant_id, origin, number, customer, received_at)"""

# What is low is judged against the balance after the newest addition: of each addition a wallet is low once.
_LOW_WALLETS = """
    with wallet as (
        select p.tenant_id, p.customer, p.wallet, p.currency, -sum(p.amount_minor) as rest,
               max(e.date) filter (where e.kind in ('wallet_granted', 'wallet_purchased')) as added_on,
               count(*) filter (where e.kind in ('wallet_granted', 'wallet_purchased') and e.revision = 0) as additions
          from (select distinct * from unnest(%(tenants)s::text[], %(customers)s::text[], %(wallets)s::text[])
                         as u (tenant_id, customer, wallet)) as t
          join billing.journal_posting as p
            on p.tenant_id = t.tenant_id and p.customer = t.customer and p.wallet = t.wallet
           and p.account = 'customer_credit'
          join billing.journal_entry as e on e.tenant_id = p.tenant_id and e.entry_id = p.entry_id
         group by p.tenant_id, p.customer, p.wallet, p.currency),
    full_wallet as (
        select w.tenant_id, w.customer, w.wallet, w.currency, w.rest, w.additions, -sum(p.amount_minor) as full_amount
          from wallet as w
          join billing.journal_posting as p
            on p.tenant_id = w.tenant_id and p.customer = w.customer and p.wallet = w.wallet
           and p.currency = w.currency and p.account = 'customer_credit'
          join billing.journal_entry as e on e.tenant_id = p.tenant_id and e.entry_id = p.entry_id
         where e.date <= w.added_on
         group by w.tenant_id, w.customer, w.wallet, w.currency, w.rest, w.additions)
    select billing.notify_endpoints(jsonb_agg(jsonb_build_object(
               'tenant', tenant_id, 'type', 'wallet.low',
               'object', jsonb_build_array(customer, wallet, currency, additions)::text,
               'data', jsonb_build_object('customer', customer, 'wallet', wallet, 'currency', currency))))
      from full_wallet
     where rest * 100 < full_amount * %(percent)s"""

_PURGE = """
    delete from billing.webhook_delivery as d
     using (select o.tenant_id, o.delivery from billing.webhook_delivery as o
             where (o.state = 'delivered' and o.due_at < now() - make_interval(days => %(days)s))
                or (o.state = 'dead' and o.due_at < now() - make_interval(days => %(dead_days)s))
             limit %(at_most)s for update skip locked) as gone
     where d.tenant_id = gone.tenant_id and d.delivery = gone.delivery"""


def listening_since(connection: Connection) -> datetime | None:
    """When the oldest endpoint that is not disabled was made; None: there is none."""
    found: datetime | None = value_of(
        connection, "select min(created_at) from billing.webhook_endpoint where disabled_at is null"
    )
    return found


def notify_failed_payments(connection: Connection, failed: pl.DataFrame) -> None:
    """Write the notifications of these payments: tenant, origin, number, customer, received_at; the caller commits."""
    names = ("tenant", "origin", "number", "customer", "received_at")
    connection.execute(_FAILED_PAYMENTS, [failed[name].to_list() for name in names])


def notify_low_wallets(connection: Connection, postings: pl.DataFrame, percent: int) -> None:
    """Write the notifications of wallets that these postings (tenant, customer, wallet) have made low."""
    values = {f"{name}s": postings[name].to_list() for name in ("tenant", "customer", "wallet")}
    connection.execute(_LOW_WALLETS, {**values, "percent": percent})


def purge(connection: Connection, days: int, dead_days: int, at_most: int) -> int:
    """Remove deliveries that were delivered ``days`` ago, or given up ``dead_days`` ago; how many, ``at_most``."""
    return connection.execute(_PURGE, {"days": days, "dead_days": dead_days, "at_most": at_most}).rowcount


def disable(connection: Connection, tenant: str, endpoint: str, reason: str) -> None:
    """Send an endpoint nothing more, as the builder; a trigger ends what waits for it."""
    connection.execute(
        "update billing.webhook_endpoint set disabled_at = now(), disabled_reason = %s "
        "where tenant_id = %s and endpoint = %s and disabled_at is null",
        [reason, tenant, endpoint],
    )


def begin_attempt(connection: Connection, tenant: str, delivery: int) -> dict[str, Any] | None:
    """Begin an attempt of a delivery that is due, and record it; None: it does not wait, or is not due.

    Args:
        connection: the builder's; the caller commits.
        tenant: whose it is.
        delivery: its number.

    Returns:
        tenant, delivery, endpoint, message_id, body, attempts (with this one), attempt_id, url, secret_version and
        signs_previous: whether the secret before that one signs too.
    """
    return row_of(connection, _BEGIN, {"tenant": tenant, "delivery": delivery})


def finish_attempt(connection: Connection, row: dict[str, Any], outcome: dict[str, Any]) -> None:
    """Record what came of an attempt, and what becomes of the delivery unless it was replayed or ended meanwhile.

    Args:
        connection: the builder's; the caller commits.
        row: as ``begin_attempt`` gave it.
        outcome: state (delivered, dead, or waiting for ``wait`` seconds), status, reason, milliseconds.
    """
    values = {**row, **outcome}
    connection.execute(
        "update billing.webhook_attempt set status = %(status)s, reason = %(reason)s, milliseconds = %(milliseconds)s "
        "where tenant_id = %(tenant)s and delivery = %(delivery)s and attempt_id = %(attempt_id)s",
        values,
    )
    connection.execute(
        "update billing.webhook_delivery set state = %(state)s, status = %(status)s, reason = %(reason)s, "
        "due_at = now() + make_interval(secs => %(wait)s), "
        "delivered_at = case when %(state)s = 'delivered' then now() end "
        "where tenant_id = %(tenant)s and delivery = %(delivery)s and state = 'waiting' and attempts = %(attempts)s",
        values,
    )


def give_up(connection: Connection, tenant: str, delivery: int, reason: str) -> None:
    """Try a delivery that waits no more; the caller commits."""
    connection.execute(
        "update billing.webhook_delivery set state = 'dead', reason = %s "
        "where tenant_id = %s and delivery = %s and state = 'waiting' and due_at <= now()",
        [reason, tenant, delivery],
    )
