"""Rows of the tables that functions of the schema ``api`` read and ``billing_rows`` leaves empty."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.support.billing_rows import TENANTS, invoice_id, secret_of

if TYPE_CHECKING:
    import psycopg


READ = ("billing.tenant", "billing.catalog", "billing.customer", "billing.subscription", "billing.invoice",
"billing.invoice_void", "billing.invoice_line", "billing.journal_entry", "billing.journal_posting",
"billing.credit_note", "billing.unchanged_invoice", "billing.usage_daily", "billing.rejected_event",
        "auth.refresh_token", "auth.api_key", "auth.portal_link", "auth.user_account", "auth.invitation",
        "auth.recovery_code", "auth.password_reset", "auth.identity_provider", "auth.provider_sign_in",
        "vault.data_key",
        "billing.invoice_credit", "billing.invoice_discount", "billing.rerating", "billing.computation",
        "value.proposal", "value.verdict", "inbox.batch", "inbox.answer", "audit.entry", "audit.node", "value.model",
        "billing.webhook_endpoint", "billing.webhook_delivery", "billing.webhook_attempt",
        "billing.payment_instrument", "vault.restriction",
        "value.commit", "value.approval", "value.closing", "value.commit_event", "value.metric", "value.run",
        "value.result", "billing.unbilled_usage", "billing.earlier_state")  # fmt: skip
"""Tables that the functions read."""


def fill(admin: psycopg.Connection[Any]) -> None:
    """One of each tenant, in the administrator's transaction."""
    for tenant in TENANTS:
        admin.execute(
            "insert into inbox.batch (tenant_id, receipt, received_at, body, events, expanded, key_hashes)"
            " values (%s, gen_random_uuid(), now(), 'b', 1, 1, 'k')",
            [tenant],
        )
        admin.execute(
            "insert into billing.unchanged_invoice values (%s, %s, now(), now())",
            [tenant, invoice_id(tenant, "2023-10")],
        )
        admin.execute(
            "insert into billing.earlier_state (tenant_id, kind, key, customer, held_until, state)"
            " values (%s, 'customer', %s, %s, '2000-01-01Z', '{}')",
            [tenant, *[f"customer {secret_of(tenant)}"] * 2],
        )
        admin.execute(
            "insert into inbox.answer (tenant_id, key_hash, fingerprint, status, body)"
            " values (%s, sha256('k'), sha256('f'), 201, 'b')",
            [tenant],
        )
        admin.execute(
            "insert into billing.computation (tenant_id, computation, kind, request, steps, requested_by)"
            " values (%s, gen_random_uuid(), 'rerating', '{}', 1, 'k')",
            [tenant],
        )
        admin.execute(
            "insert into billing.rerating values (%s, 'p', %s, null, null, now())",
            [tenant, invoice_id(tenant, "2023-10")],
        )
        admin.execute(
            "insert into value.verdict values (%s, %s, 'accepted', 'x', null, now())",
            [tenant, f"proposal {secret_of(tenant)}"],
        )
        admin.execute(
            "insert into value.closing select tenant_id, commit_id, 'confirmed', 'x', 'r', now() from value.commit"
            " where tenant_id = %s limit 1",
            [tenant],
        )
        admin.execute(
            "insert into billing.unbilled_usage (tenant_id, day, reason, customer, events)"
            " values (%s, '2023-10-05', 'r', 'c', 1)",
            [tenant],
        )
        admin.execute(
            "insert into billing.invoice_void values (%s, %s, 'x', now())",
            [tenant, invoice_id(tenant, "2023-10")],
        )
        admin.execute(
            "insert into billing.credit_note values (%s, 'n', %s, null, null, 1, 'x', now())",
            [tenant, secret_of(tenant)],
        )
        admin.execute(
            "insert into billing.catalog values (%s, %s, now(), to_jsonb(%s::text))",
            [tenant, f"hash of {tenant}", secret_of(tenant)],
        )
        admin.execute(
            "insert into auth.user_account (tenant_id, user_id, email, role)"
            " values (%s, 'usr_' || repeat('f', 24), 'f@x', 'viewer')",
            [tenant],
        )
        for values in (
            "auth.recovery_code values (%s, 'u', 'c')",
            "auth.password_reset values (%s, 't', 'u', now(), now())",
            "auth.provider_sign_in values (%s, 's', 'idp_1', 'c', now())",
        ):
            admin.execute(f"insert into {values}".encode(), [tenant])
        admin.execute("insert into vault.data_key values (%s, '', 9, 'w')", [tenant])
        admin.execute(
            "insert into auth.invitation (tenant_id, invitation, email, role, token_hash, invited_by, expires_at)"
            " values (%s, 'inv_' || repeat('f', 24), 'f@x', 'viewer', 'f', 'system', now())",
            [tenant],
        )
        admin.execute(
            "insert into auth.portal_link (tenant_id, link_hash, customer, key_prefix, expires_at)"
            " values (%s, 'link', 'c', 'k', now())",
            [tenant],
        )
        admin.execute(
            "insert into auth.refresh_token"
            " (tenant_id, token_hash, family, key_prefix, idle_expires_at, expires_at)"
            " values (%s, 'h', gen_random_uuid(), 'p', now(), now())",
            [tenant],
        )
