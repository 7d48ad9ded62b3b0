"""The API in a test: tenants with invoices and usage, the app with its lifespan, a client per tenant."""

from __future__ import annotations

import hashlib
import io
import json
import time
import uuid
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import polars as pl

from serving_api.app import create_app
from serving_api.request_log import RequestLog
from serving_api.security.rate_limits import Limiter
from serving_api.security.tokens import Identity
from tests.support import billing_rows
from tests.support.inbox import receive
from tests.support.landing import event
from tests.support.ledger import World
from valueverse.platform.access.api_keys import DEFAULT_SCOPES, issue_api_key
from valueverse.platform.lake import Lake
from valueverse.platform.telemetry.logs import make_log
from valueverse.platform.warehouse import connect
from valueverse.services.audit.sign_log import sign_log
from valueverse.services.ingestion.waiting_events import key_bytes
from valueverse.services.lake_tables import BILLING_FACTS_TABLE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    import psycopg
    import pytest
    from fastapi import FastAPI

    from valueverse.platform.settings import Settings

RECEIVED = datetime(2024, 6, 1, 12, tzinfo=UTC)
ODD_CUSTOMER = "Müller & Söhne? #1 +%25 'x'; \"drop\" 🚀"


def invoice_document(tenant: str, number: str) -> dict[str, Any]:
    """A document in the shape of contracts.md, section 4, with a trap: a dimension that is called status."""
    line = {
        "key": "tokens", "kind": "usage", "description": f'"status":"finalised" of {tenant}',
        "meter": "tokens",
        "dimensions": {"status": "finalised"}, "quantity": "15373.4", "tiers": [], "amount": "46.12",
        "amount_precise": "46.1202", "event_count": 2, "explains": None,
        "service_period": {"from": "2023-10-01T00:00:00Z", "to": "2023-11-01T00:00:00Z"},
    }  # fmt: skip
    return {
        "number": number, "tenant": tenant, "customer": f"customer {billing_rows.secret_of(tenant)}",
        "subscription": f"subscription {billing_rows.secret_of(tenant)}", "status": "finalised",
        "currency": "USD",
        "issued_on": "2023-11-02", "due_on": None, "period": {"from": "2023-10-01T00:00:00Z",
        "to": "2023-11-01T00:00:00Z"},
        "lines": [line], "discounts": [], "taxes": [], "credits": [], "subtotal": "71.12",
        "discount_total": "0.00",
        "tax_total": "0.00", "total": "71.12", "credit_total": "0.00", "amount_due": "71.12",
        "basis": {"events_known_at": "2023-11-01T00:00:00Z"},
        "content_hash": f"content {billing_rows.secret_of(tenant)}", "previous_hash": None,
    }  # fmt: skip


def canonical(document: dict[str, Any]) -> str:
    """As billing writes it."""
    return json.dumps(document, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def webhook_of(tenant: str) -> str:
    """The name of the tenant's webhook endpoint."""
    return f"we_{hashlib.sha256(tenant.encode()).hexdigest()[:24]}"


def delivery_of(tenant: str) -> int:
    """The number of the tenant's one delivery, which no other tenant has."""
    return int(hashlib.sha256(tenant.encode()).hexdigest()[:6], 16)


def seed_webhooks(connection: psycopg.Connection[Any], tenant: str) -> None:
    """An endpoint, a delivery that was given up, and its attempt."""
    secret = billing_rows.secret_of(tenant)
    connection.execute(
        "insert into billing.webhook_endpoint (tenant_id, endpoint, url, types) values (%s, %s, %s, '{quality.held}')",
        [tenant, webhook_of(tenant), f"https://{secret}.example/"],
    )
    connection.execute(
        "insert into billing.webhook_delivery (tenant_id, delivery, endpoint, type, object, message_id, body, state)"
        " overriding system value values (%s, %s, %s, 'quality.held', 'o', 'msg_1', %s, 'dead')",
        [tenant, delivery_of(tenant), webhook_of(tenant), json.dumps({"secret": secret})],
    )
    connection.execute(
        "insert into billing.webhook_attempt (tenant_id, delivery, reason, milliseconds) values (%s, %s, %s, 1)",
        [tenant, delivery_of(tenant), secret],
    )


def instrument_of(tenant: str) -> str:
    """The name of the tenant's payment instrument."""
    return f"pi_{hashlib.sha256(tenant.encode()).hexdigest()[:24]}"


def seed_privacy(connection: psycopg.Connection[Any], tenant: str) -> None:
    """A customer whose data is on hold, and a payment instrument of the other one."""
    secret = billing_rows.secret_of(tenant)
    connection.execute(
        "insert into vault.restriction (tenant_id, customer, reason) values (%s, %s, %s)",
        [tenant, ODD_CUSTOMER, secret],
    )
    connection.execute(
        "insert into billing.payment_instrument (tenant_id, instrument, customer, provider, token, kind)"
        " values (%s, %s, %s, 'stripe', %s, 'card')",
        [tenant, instrument_of(tenant), f"customer {secret}", secret],
    )


def seed(settings: Settings) -> dict[str, str]:
    """Three tenants of billing_rows, with whole documents and an odd customer; gives an API key of each."""
    billing_rows.seed(settings)
    keys = {}
    with connect(settings, "admin") as connection:
        connection.execute("alter table billing.invoice disable trigger finalised_update")
        for tenant in billing_rows.TENANTS:
            for sequence in (1, 2):
                number = f"{tenant}-{sequence:06d}"
                connection.execute(
                    "update billing.invoice set document = %s where tenant_id = %s and number = %s",
                    [canonical(invoice_document(tenant, number)), tenant, number],
                )
            connection.execute(
                "insert into billing.customer (tenant_id, customer, name) values (%s, %s, %s)",
                [tenant, ODD_CUSTOMER, f"odd {billing_rows.secret_of(tenant)}"],
            )
            connection.execute(
                "insert into billing.usage_daily"
                " values (%s, %s, '', 'tokens', '2023-10-07', %s, '0.000000000000000001', 3, 'max')",
                [tenant, ODD_CUSTOMER, '{"model":"gpt-large"}'],
            )
        connection.execute("alter table billing.invoice enable always trigger finalised_update")
    with connect(settings, "builder") as connection:
        for tenant in billing_rows.TENANTS:
            seed_webhooks(connection, tenant)
            seed_privacy(connection, tenant)
            connection.execute(
                "insert into value.model (tenant_id, model, version, text, title, content_hash, written_by)"
                " values (%s, %s, 1, %s, %s, repeat('0', 64), 'key')",
                [tenant, f"of_{tenant}", model_text(f"of_{tenant}"), f"Model {billing_rows.secret_of(tenant)}"],
            )
            for kind in ("simulation", "rerating"):
                connection.execute(
                    "insert into billing.computation (tenant_id, computation, kind, request, steps, requested_by,"
                    " result, state) values (%s, %s, %s, '{}', 1, 'key', to_json(%s::text)::text, 'done')",
                    [tenant, billing_rows.invoice_id(tenant, kind), kind, billing_rows.secret_of(tenant)],
                )
            keys[tenant] = issue_api_key(connection, tenant, [*DEFAULT_SCOPES, "audit:read"])
    for tenant in billing_rows.TENANTS:
        receive(settings, tenant, waiting_event(tenant), at=RECEIVED)
    sign_log(settings, whole=True)
    return keys


def model_text(model: str, hours: str = "10") -> str:
    """A value model with one uncertain input and one variable."""
    return (
        f"schema: valueverse.value_model/v1\nmodel: {model}\n"
        f"inputs: {{hours: {{value: {hours}}}, share: {{dist: {{pert: [0.2, 0.5, 0.9]}}}}}}\n"
        "variables: {saved: {expr: 'hours * share'}}\noutputs: [saved]\n"
    )


def waiting_event(tenant: str) -> dict[str, Any]:
    """An event that waits in the tenant's inbox."""
    return event(
        "e/1", {"n": 1, "secret": billing_rows.secret_of(tenant)}, source=f"urn:{billing_rows.secret_of(tenant)}/é"
    )


def event_hash(tenant: str) -> bytes:
    """The hash of the key of the tenant's waiting event."""
    source = waiting_event(tenant)["source"]
    return key_bytes(pl.DataFrame({"tenant": [tenant], "source": [source], "id": ["e/1"]}))


def seed_log(settings: Settings) -> None:
    """Billing events in the lake: a customer of acme on a plan, another one of birch on the same."""
    seats = {"key": "seats", "unit_amount": "5", "timing": "in_advance"}
    plans = [{"key": "pro", "fees": [seats]}, {"key": "basic", "version": 2}]
    world = World({"currency": "EUR", "timezone": "Asia/Tokyo", "plans": plans})
    world.start("2024-01-01", quantities={"seats": "3"})
    facts = world.lake_facts()
    mine = pl.col("data").str.replace_all('"c1"', '"b1"').str.replace_all('"s1"', '"t1"')
    others = facts.with_columns(pl.lit("birch").alias("tenant"), mine.str.replace_all("acme", "birch"))
    Lake(settings.lake_url).overwrite(BILLING_FACTS_TABLE, pl.concat([facts, others]))


@dataclass
class Api:
    """A running app and what it logged."""

    app: FastAPI
    log: io.BytesIO
    client: httpx.AsyncClient
    keys: dict[str, str]
    tokens: dict[str, dict[str, Any]] = field(default_factory=dict)

    async def sign_in(self, tenant: str) -> dict[str, Any]:
        """A new session of ``tenant``."""
        answer = await self.client.post("/v1/sessions", headers=bearer(self.keys[tenant]))
        assert answer.status_code == 200, answer.text
        session: dict[str, Any] = answer.json()
        return session

    async def get(self, tenant: str, path: str, headers: dict[str, str] | None = None, **query: Any) -> httpx.Response:
        """GET as ``tenant``."""
        if tenant not in self.tokens:
            self.tokens[tenant] = await self.sign_in(tenant)
        token = self.tokens[tenant]["access_token"]
        return await self.client.get(path, params=query or None, headers={**bearer(token), **(headers or {})})

    def token(self, tenant: str, *scopes: str) -> str:
        """An access token as a session with these scopes would have."""
        identity = Identity(tenant, "aaaaaaaaaaaa", frozenset(scopes), uuid.uuid4())
        token: str = self.app.state.service.tokens.issue(identity)
        return token

    def logged(self) -> list[dict[str, Any]]:
        """The log's lines."""
        return [json.loads(line) for line in self.log.getvalue().splitlines()]


def bearer(credentials: str) -> dict[str, str]:
    """The header that carries ``credentials``."""
    return {"Authorization": f"Bearer {credentials}"}


@asynccontextmanager
async def serving(settings: Settings, keys: dict[str, str], requests_a_minute: int = 100_000) -> AsyncIterator[Api]:
    """The app, begun as a server would begin it; its limits do not refill, however long a test takes."""
    log = io.BytesIO()
    lines = RequestLog(log, seconds=0)
    app = create_app(settings, log=make_log(log), request_log=lines, requests_a_minute=requests_a_minute)
    begun, service = time.time_ns() // 1000, app.state.service
    service.limiter = Limiter(settings.redis_url, service.log, requests_a_minute, clock=lambda: begun, patience=60)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://api.test") as client,
    ):
        yield Api(app, log, client, keys)


async def session_of(api: Api, settings: Settings, tenant: str, *scopes: str) -> str:
    """The access token of a new session of ``tenant`` whose key has these scopes."""
    with connect(settings, "builder") as connection:
        key = issue_api_key(connection, tenant, scopes)
    answer = await api.client.post("/v1/sessions", headers=bearer(key))
    token: str = answer.json()["access_token"]
    return token


def fail_to_receive(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on no request of events can be stored in Postgres."""
    database = api.app.state.service.database
    call = database.call

    async def failing(function: str, *arguments: object) -> Any:
        if function == "receive_events":
            raise OSError("the write failed")
        return await call(function, *arguments)

    monkeypatch.setattr(database, "call", failing)


def assert_problem(answer: httpx.Response, status: int, name: str) -> dict[str, Any]:
    """``answer`` is a problem document of this status and type, and gives nothing else away."""
    assert answer.status_code == status, (answer.status_code, answer.text)
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["type"] == f"urn:valueverse:problem:{name}", problem
    assert problem["status"] == status
    assert set(problem) <= {"type", "title", "status", "detail", "instance", "errors"}
    assert "Traceback" not in answer.text
    return problem


def without(problem: dict[str, Any], names: Collection[str] = ("instance",)) -> dict[str, Any]:
    """``problem`` less what differs from request to request."""
    return {name: value for name, value in problem.items() if name not in names}
