"""Every route that reads a tenant's things, and every function of the schema ``api``, asked for one tenant's rows."""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import quote

from tests.support.billing_rows import invoice_id, secret_of
from tests.support.people import people_calls, user_of
from tests.support.serving import delivery_of, event_hash, instrument_of, waiting_event, webhook_of
from tests.support.value_matrix import value_addresses, value_calls


def addresses(tenant: str) -> dict[str, str]:
    """An address of every route that reads a tenant's things."""
    key = quote(f"customer {secret_of(tenant)}")
    return {
        "/v1/invoices": "/v1/invoices",
        "/v1/invoices/{number}": f"/v1/invoices/{tenant}-000001",
        "/v1/invoices/{number}/lines/{key}/explain": f"/v1/invoices/{tenant}-000001/lines/tokens/explain",
        "/v1/catalogs": "/v1/catalogs",
        "/v1/plans": "/v1/plans",
        "/v1/customers": "/v1/customers",
        "/v1/customers/{key}": f"/v1/customers/{key}",
        "/v1/subscriptions": "/v1/subscriptions",
        "/v1/subscriptions/{key}": f"/v1/subscriptions/{quote(f'subscription {secret_of(tenant)}')}",
        "/v1/payments": "/v1/payments",
        "/v1/credit-notes": "/v1/credit-notes",
        "/v1/one-offs": "/v1/one-offs",
        "/v1/wallets": "/v1/wallets",
        "/v1/customers/{key}/usage": f"/v1/customers/{key}/usage",
        "/v1/customers/{key}/upcoming-invoice": f"/v1/customers/{key}/upcoming-invoice?until=2024-01-01",
        "/v1/unbilled-usage": "/v1/unbilled-usage",
        "/v1/rejected-events": "/v1/rejected-events",
        **value_addresses(tenant),
        "/v1/audit/entries": "/v1/audit/entries",
        "/v1/audit/checkpoint": "/v1/audit/checkpoint",
        "/v1/audit/proof/{sequence}": "/v1/audit/proof/1",
        "/v1/audit/consistency": "/v1/audit/consistency?from=1",
        "/v1/simulations": "/v1/simulations",
        "/v1/simulations/{id}": f"/v1/simulations/{invoice_id(tenant, 'simulation')}",
        "/v1/reratings": "/v1/reratings",
        "/v1/reratings/{id}": f"/v1/reratings/{invoice_id(tenant, 'rerating')}",
        "/v1/me": "/v1/me",
        "/v1/api-keys": "/v1/api-keys",
        "/v1/restrictions": "/v1/restrictions",
        "/v1/customers/{key}/payment-instruments": f"/v1/customers/{key}/payment-instruments",
        "/v1/webhook-endpoints": "/v1/webhook-endpoints",
        "/v1/webhook-endpoints/{endpoint}": f"/v1/webhook-endpoints/{webhook_of(tenant)}",
        "/v1/webhook-deliveries": "/v1/webhook-deliveries",
        "/v1/webhook-deliveries/{delivery}": f"/v1/webhook-deliveries/{delivery_of(tenant)}",
        "/v1/users": "/v1/users",
        "/v1/users/{user}": f"/v1/users/{user_of(tenant)}",
        "/v1/invitations": "/v1/invitations",
        "/v1/identity-provider": "/v1/identity-provider",
        "/v1/events": "/v1/events",
        "/v1/events/stream": "/v1/events/stream?seconds=0",
        "/v1/events/{source}/{id}": f"/v1/events/{quote(waiting_event(tenant)['source'], safe='')}/e%2F1",
    }


def calls(owner: str) -> dict[str, tuple[str, list[Any]]]:
    """Arguments behind the tenant's, for every function, that would find rows of ``owner``."""
    customer = f"customer {secret_of(owner)}"
    return {
        "invoice": ("%s", [f"{owner}-000001"]),
        "invoices": ("%s, null, null, null, null, null, null, 100", [customer]),
        "invoice_parties": ("%s", [customer]),
        "invoice_catalog": ("%s", [f"hash of {owner}"]),
        "invoice_history": ("%s", [f"{owner}-000001"]),
        "session_open": ("%s", [invoice_id(owner, "family")]),
        "customers": ("null, 100", []),
        "rejected_events": ("null, null, 100", []),
        "audit_entries": ("null, null, 100", []),
        "audit_nodes": ("'{0,1}', '{0,0}'", []),
        "customer_known": ("%s", [customer]),
        "usage": ("%s, null, null, null, null, null, null, null, 1000", [customer]),
        "open_session": ("%s, gen_random_uuid(), 'h', '1 h', '1 h', ''", [f"prefix of {owner}"]),
        "refresh_session": ("%s, 'new', '1 h', '0 s', ''", [f"hash of {owner}"]),
        "receive_events": (
            "gen_random_uuid(), now(), %s, 1, 1, %s, 'root', 'key', '', true",
            [b"written by whoever asks", b"k" * 16],
        ),
        "event_invoices": ("'2023-10-15T00:00:00Z'", []),
        "event_corrections": ("'2023-10-15T00:00:00Z'", []),
        "event_unchanged": ("'2023-10-15T00:00:00Z'", []),
        "event_lines": ("%s, 'tokens', '2023-10-15Z', '2000-01-01Z'", [f"subscription {secret_of(owner)}"]),
        "event_rejection": ("'s', %s", [secret_of(owner)]),
        "event_waiting": ("%s", [event_hash(owner)]),
        **{
            f"prior_{name}": (f"%s, null{more}", [customer])
            for name, more in (
                ("invoices", ""),
                ("lines", ", null"),
                ("deductions", ""),
                ("recomputed", ""),
                ("reratings", ""),
                ("proposals", ", 'infinity'"),
                ("watermark", ", 'infinity'"),
            )
        },
        "explain_invoices": ("%s, null, null", [f"{owner}-000001"]),
        "explain_related": ("%s, null", [invoice_id(owner, "2023-10")]),
        "explain_corrected": ("%s", [invoice_id(owner, "2023-10")]),
        "explain_booked": ("%s, 'infinity', 9, 'infinity'", [invoice_id(owner, "2023-10")]),
        "explain_rejections": ("", []),
        "explain_outcome": ("%s, 1", [invoice_id(owner, "2023-10")]),
        "begin_write": ("%s, %s", [b"k" * 32, b"f" * 32]),
        "waiting_requests": ("", []),
        "keep_answer": ("sha256(uuid_send(gen_random_uuid())), %s, 201, %s", [b"f" * 32, b"of whoever asks"]),
        "request_computation": ("'simulation', gen_random_uuid(), '{}', 2, 20, 'key', '', null", []),
        "computation": ("'rerating', %s, true", [invoice_id(owner, "rerating")]),
        "computations": ("'simulation', null, null, 100", []),
        "cancel_computation": ("'simulation', %s, 'key', ''", [invoice_id(owner, "simulation")]),
        "apply_rerating": ("%s, 'key', '', null", [invoice_id(owner, "rerating")]),
        **value_calls(owner),
        "close_session": ("%s, ''", [invoice_id(owner, "family")]),
        "create_portal_link": ("%s, %s, 'made', '1 h', 'key', '', true", [invoice_id(owner, "family"), customer]),
        "open_portal_session": ("%s, %s, 'new', '1 h', '1 h', ''", [f"link of {owner}", invoice_id(owner, "family")]),
        "portal_invoice": ("%s, %s", [customer, f"{owner}-000001"]),
        "portal_invoices": ("%s, null, null, null, null, null, null, null, 100", [customer]),
        "portal_invoice_parties": ("%s, %s", [customer, customer]),
        "portal_invoice_catalog": ("%s, %s", [customer, f"hash of {owner}"]),
        "portal_invoice_history": ("%s, %s", [customer, f"{owner}-000001"]),
        "portal_explain_invoices": ("%s, %s, null, null", [customer, f"{owner}-000001"]),
        "portal_customer_known": ("%s, %s", [customer, customer]),
        "portal_usage": ("%s, %s, null, null, null, null, null, null, null, 1000", [customer, customer]),
        **people_calls(owner),
        "api_keys": ("null, null, 100", []),
        "create_api_key": ("%s, 'made', 'h', '{admin}', 'n', null, 'key', ''", [invoice_id(owner, "family")]),
        "rotate_api_key": (
            "%s, %s, 'made', 'h', '1 h', 'key', ''",
            [invoice_id(owner, "family"), f"prefix of {owner}"],
        ),
        "restrictions": ("null, 100", []),
        "restrict_customer": ("null, %s, null, '{}', 'key', ''", [customer]),
        "payment_instruments": ("%s, null, null, 100", [customer]),
        "add_payment_instrument": (
            "%s, %s, 'stripe', gen_random_uuid()::text, 'card', null, '{}', 'key', ''",
            [f"pi_{uuid.uuid4().hex[:24]}", "of whoever asks"],
        ),
        "remove_payment_instrument": ("%s, %s, '{}', 'key', ''", [customer, instrument_of(owner)]),
        "webhook_endpoints": ("%s, null, null, 100", [webhook_of(owner)]),
        "add_webhook_endpoint": (
            "null, %s, 'https://example.com/', '{}', 1000000, 'key', ''",
            [f"we_{uuid.uuid4().hex[:24]}"],
        ),
        "change_webhook_endpoint": (
            "null, %s, 'https://example.com/', '{}', '', '1 h', 100, 'key', ''",
            [webhook_of(owner)],
        ),
        "send_webhook_test": ("null, %s, 'webhook.test', 'm', '{}', 'key', ''", [webhook_of(owner)]),
        "webhook_deliveries": ("%s, null, null, null, null, null, 100", [webhook_of(owner)]),
        "webhook_delivery": ("%s", [delivery_of(owner)]),
        "replay_webhook_deliveries": (
            "null, %s, %s, null, null, null, null, null, 100, 'key', ''",
            [delivery_of(owner), webhook_of(owner)],
        ),
        "revoke_api_key": ("%s, %s, 'key', ''", [invoice_id(owner, "family"), f"prefix of {owner}"]),
    }
