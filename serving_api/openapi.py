"""The OpenAPI document: what FastAPI knows, completed by plain routes, headers, security and problems."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from serving_api.answer_headers import VERSION
from serving_api.event_schemas import EventFate
from serving_api.examples import EVENT_SCHEMA, FATE
from serving_api.operation_names import operation_name
from serving_api.problems import KINDS, MEDIA_TYPE, PREFIX
from serving_api.route_scopes import scopes_of
from serving_api.schemas import Invoice
from serving_api.writes import WRITES, shared_schemas

if TYPE_CHECKING:
    from fastapi import FastAPI

DESCRIPTION = """Events, writes, invoices and usage of one tenant: the one whose API key opened the session.
Nothing in a request names
the tenant, and what belongs to another is answered as if it did not exist.

Sign in at `POST /v1/sessions`, then send `Authorization: Bearer <access_token>`. Amounts are text in major
units, times RFC 3339
in UTC, every `to` is exclusive. Lists go on with `next_cursor` while `has_more` is true. Every error is a
problem document
(RFC 9457) with a stable `type`: the schema `Problem` lists them, with what to do."""

_VERSIONED = {
    "name": "Api-Version",
    "in": "header",
    "required": False,
    "description": "The dated version the client was written for.",
    "schema": {"type": "string", "enum": [VERSION]},
}
_CONDITION = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "ETag of the answer the client has; 304 if it still holds.",
    "schema": {"type": "string"},
    "example": '"2f0e9c6f6a4d1b8f0c7b6a5d4e3f2a1b"',
}
_PROBLEM = {
    "type": "object",
    "description": "\n".join(  # in Markdown, which readers of OpenAPI render
        [
            "| type | status | title | what to do |",
            "|---|---|---|---|",
            *(f"| `{PREFIX}{name}` | {kind.status} | {kind.title} | {kind.cure} |" for name, kind in KINDS.items()),
        ]
    ),
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string", "enum": [PREFIX + name for name in KINDS]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {
            "type": "string",
            "description": "urn:uuid: of the request, as in X-Request-ID and the log",
        },
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"path": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}
_LIMITED = ("RateLimit-Policy", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
_EXAMPLE: dict[str, Any] = {
    "number": "northwind-ai-000002", "tenant": "northwind-ai", "customer": "chat",
    "subscription": "chat-main",
    "status": "finalised", "currency": "USD", "issued_on": "2023-12-02", "due_on": None,
    "period": {"from": "2023-11-01T00:00:00Z", "to": "2023-12-01T00:00:00Z"},
    "lines": [{"key": "platform", "kind": "fee", "description": "platform", "quantity": None, "tiers": [],
               "amount": "25.00", "amount_precise": "25", "event_count": 0}],
    "discounts": [], "taxes": [], "credits": [], "subtotal": "25.00", "discount_total": "0.00",
    "tax_total": "0.00",
    "total": "25.00", "credit_total": "0.00", "amount_due": "25.00", "previous_hash": None,
    "content_hash": "9b74c9897bac770ffc029102a200c5de5b2e9d0f5f6f9a7bd2b5e0a9c3a1f3d7",
}  # fmt: skip

_COMMON = ("malformed-request", "method-not-allowed", "body-too-large", "internal-error")
_READ = ("invalid-token", "insufficient-scope", "not-found", "invalid-request", "rate-limited", "unavailable")
_WRITE = ("invalid-token", "insufficient-scope", "conflict", "idempotency-in-flight",
          "invalid-request", "idempotency-mismatch", "rate-limited", "unavailable")  # fmt: skip
_SIGN_IN = ("invalid-credentials", "invalid-request", "rate-limited", "unavailable")
_ANONYMOUS = (
    "/v1/sessions/refresh",
    "/v1/portal-sessions/exchange",
    "/v1/auth/login",
    "/v1/auth/oidc/{tenant}/start",
    "/v1/auth/oidc/{tenant}/callback",
    "/v1/auth/oidc/session",
    "/v1/invitations/accept",
    "/v1/auth/reset",
    "/v1/auth/reset/confirm",
)
_IDENTITY = tuple(name for name in _WRITE if name != "conflict")
_CHANGE = (*_WRITE, "not-found")
_NAMED = (*_IDENTITY, "not-found")
_OWN = ("invalid-token", "insufficient-role", "invalid-request", "rate-limited", "unavailable")
_OWNERS = (*_OWN, "precondition-failed", "precondition-required")
_PROBLEMS_OF = {
    ("/v1/sessions", "post"): _SIGN_IN,
    ("/v1/sessions/refresh", "post"): _SIGN_IN,
    ("/v1/me", "get"): ("invalid-token", "invalid-request", "rate-limited", "unavailable"),
    ("/v1/api-keys", "get"): _READ,
    ("/v1/api-keys", "post"): _IDENTITY,
    ("/v1/api-keys/{prefix}/rotate", "post"): _NAMED,
    ("/v1/api-keys/{prefix}", "delete"): _READ,
    ("/v1/portal-sessions", "post"): _IDENTITY,
    ("/v1/portal-sessions/exchange", "post"): _SIGN_IN,
    ("/v1/auth/login", "post"): (*_SIGN_IN, "second-factor-required"),
    ("/v1/auth/oidc/{tenant}/start", "get"): ("invalid-request", "not-found", "rate-limited", "unavailable"),
    ("/v1/auth/oidc/{tenant}/callback", "get"): _SIGN_IN,
    ("/v1/auth/oidc/session", "post"): (*_SIGN_IN, "second-factor-required"),
    ("/v1/identity-provider", "get"): _READ,
    ("/v1/identity-provider", "put"): (*_OWNERS, "insufficient-scope"),
    ("/v1/identity-provider", "delete"): (*_OWNERS, "insufficient-scope", "not-found"),
    ("/v1/auth/reset", "post"): ("invalid-request", "rate-limited", "unavailable"),
    ("/v1/auth/reset/confirm", "post"): _SIGN_IN,
    ("/v1/auth/password", "post"): _OWN,
    ("/v1/auth/second-factor", "post"): (*_OWN, "conflict"),
    ("/v1/auth/second-factor/confirm", "post"): _OWN,
    ("/v1/auth/second-factor/remove", "post"): _OWN,
    ("/v1/users", "get"): _READ,
    ("/v1/users/{user}", "get"): _READ,
    ("/v1/users/{user}", "patch"): (
        *_READ,
        "insufficient-role",
        "conflict",
        "precondition-failed",
        "precondition-required",
    ),
    ("/v1/users/{user}/disable", "post"): (*_IDENTITY, "insufficient-role", "not-found", "conflict"),
    ("/v1/invitations", "get"): _READ,
    ("/v1/invitations", "post"): (*_IDENTITY, "insufficient-role", "conflict"),
    ("/v1/invitations/{invitation}", "delete"): _READ,
    ("/v1/invitations/accept", "post"): _SIGN_IN,
    ("/v1/sessions", "delete"): ("invalid-token", "rate-limited", "unavailable"),
    ("/v1/events", "post"): (
        "invalid-token",
        "invalid-credentials",
        "insufficient-scope",
        "request-timeout",
        "invalid-request",
        "rate-limited",
        "unavailable",
    ),
    ("/v1/events", "get"): _READ,
    ("/v1/events/stream", "get"): _READ,
    ("/v1/events/{source}/{id}", "get"): _READ,
    ("/v1/invoices", "get"): _READ,
    ("/v1/invoices/{number}", "get"): (*_READ, "not-renderable"),
    ("/v1/invoices/{number}/lines/{key}/explain", "get"): _READ,
    ("/v1/unbilled-usage", "get"): _READ,
    ("/v1/customers", "get"): _READ,
    ("/v1/customers/{key}", "get"): _READ,
    ("/v1/subscriptions", "get"): _READ,
    ("/v1/subscriptions/{key}", "get"): _READ,
    ("/v1/payments", "get"): _READ,
    ("/v1/credit-notes", "get"): _READ,
    ("/v1/one-offs", "get"): _READ,
    ("/v1/wallets", "get"): _READ,
    ("/v1/customers/{key}/usage", "get"): _READ,
    ("/v1/customers/{key}/upcoming-invoice", "get"): _READ,
    ("/v1/invoices/preview", "post"): (*_READ, "conflict"),
    ("/v1/rejected-events", "get"): _READ,
    ("/v1/audit/entries", "get"): _READ,
    ("/v1/audit/checkpoint", "get"): _READ,
    ("/v1/audit/proof/{sequence}", "get"): _READ,
    ("/v1/audit/consistency", "get"): _READ,
    ("/v1/catalogs", "get"): _READ,
    ("/v1/plans", "get"): _READ,
    ("/v1/catalogs", "post"): _WRITE,
    ("/v1/catalogs/check", "post"): (
        "invalid-token",
        "insufficient-scope",
        "invalid-request",
        "rate-limited",
        "unavailable",
    ),
    **{
        (f"/v1/{name}{rest}", method): found
        for name in ("simulations", "reratings")
        for rest, method, found in (
            ("", "get", _READ),
            ("", "post", _IDENTITY),
            ("/{id}", "get", _READ),
            ("/{id}/cancel", "post", (*_IDENTITY, "conflict", "not-found")),
        )
    },
    ("/v1/reratings/{id}/apply", "post"): (*_IDENTITY, "conflict", "not-found"),
    ("/v1/library", "get"): _READ,
    ("/v1/library/{name}", "get"): _READ,
    ("/v1/value-models", "get"): _READ,
    ("/v1/value-models", "post"): _WRITE,
    ("/v1/value-models/{key}", "get"): _READ,
    ("/v1/value-models/{key}", "put"): (*_CHANGE, "precondition-failed", "precondition-required"),
    ("/v1/value-models/{key}/check", "post"): _READ,
    ("/v1/value-models/{key}/run", "post"): _READ,
    ("/v1/value-models/{key}/commits", "post"): _CHANGE,
    ("/v1/commits", "get"): _READ,
    ("/v1/commits/{id}", "get"): _READ,
    ("/v1/commits/{id}/approvals", "post"): _CHANGE,
    ("/v1/commits/{id}/closings", "post"): _CHANGE,
    ("/v1/commits/{id}/diff", "get"): _READ,
    ("/v1/commits/{id}/verify", "get"): _READ,
    ("/v1/commits/{id}/runs", "post"): _CHANGE,
    ("/v1/commits/{id}/realisation", "get"): _READ,
    ("/v1/runs/{id}", "get"): _READ,
    ("/v1/runs/{id}/explain", "get"): _READ,
    ("/v1/fee-proposals", "get"): _READ,
    ("/v1/fee-proposals/{id}", "get"): _READ,
    ("/v1/fee-proposals/{id}/accept", "post"): _CHANGE,
    ("/v1/fee-proposals/{id}/dispute", "post"): _CHANGE,
    **{(one.path, one.method.lower()): _CHANGE if one.hidden else _WRITE for one in WRITES},
    ("/v1/customers/{key}", "patch"): (*_CHANGE, "precondition-failed"),
    ("/v1/restrictions", "get"): _READ,
    ("/v1/customers/{key}/restrict", "post"): _NAMED,
    ("/v1/customers/{key}/release", "post"): _NAMED,
    ("/v1/customers/{key}/payment-instruments", "get"): _READ,
    ("/v1/customers/{key}/payment-instruments", "post"): (*_NAMED, "conflict"),
    ("/v1/customers/{key}/payment-instruments/{instrument}", "delete"): (*_READ, "conflict"),
    ("/v1/webhook-endpoints", "get"): _READ,
    ("/v1/webhook-endpoints", "post"): (*_IDENTITY, "conflict"),
    ("/v1/webhook-endpoints/{endpoint}", "get"): _READ,
    ("/v1/webhook-endpoints/{endpoint}", "patch"): (*_NAMED, "precondition-failed", "precondition-required"),
    ("/v1/webhook-endpoints/{endpoint}/rotate", "post"): _NAMED,
    ("/v1/webhook-endpoints/{endpoint}/disable", "post"): _NAMED,
    ("/v1/webhook-endpoints/{endpoint}/enable", "post"): (*_NAMED, "conflict"),
    ("/v1/webhook-endpoints/{endpoint}/test", "post"): (*_NAMED, "conflict"),
    ("/v1/webhook-deliveries", "get"): _READ,
    ("/v1/webhook-deliveries/{delivery}", "get"): _READ,
    ("/v1/webhook-deliveries/{delivery}/replay", "post"): (*_NAMED, "conflict"),
    ("/v1/webhook-deliveries/replay", "post"): (*_IDENTITY, "invalid-cursor"),
}

_CREDENTIALS = {("/v1/sessions", "post"): ("ApiKey",), ("/v1/events", "post"): ("AccessToken", "ApiKey")}
"""Of routes that take other credentials than an access token alone."""


def complete(app: FastAPI) -> dict[str, Any]:
    """The document, made once."""
    if app.openapi_schema is not None:
        return app.openapi_schema
    document = get_openapi(title="ValueVerse", version=VERSION, description=DESCRIPTION, routes=app.state.routes)
    components = document.setdefault("components", {})
    _, models = models_json_schema(
        [(Invoice, "serialization"), (EventFate, "serialization")], ref_template="#/components/schemas/{model}"
    )
    schemas = {**components.get("schemas", {}), **models["$defs"], **shared_schemas(), "Event": EVENT_SCHEMA}
    schemas["Problem"] = _PROBLEM
    for replaced in ("HTTPValidationError", "ValidationError"):
        schemas.pop(replaced, None)
    components["schemas"] = schemas
    components["securitySchemes"] = {
        "ApiKey": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "vv_<prefix>_<secret>",
            "description": "Signs in, and sends events.",
        },
        "AccessToken": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "Of a session; five minutes.",
        },
    }
    _add_plain_routes(document["paths"])
    scopes = scopes_of(app.state.routes)
    for path, item in document["paths"].items():
        for method, operation in item.items():
            _complete_operation(path, method, operation, scopes.get((path, method)))
    app.openapi_schema = document
    return document


def _add_plain_routes(paths: dict[str, Any]) -> None:
    paths["/v1/.well-known/jwks.json"] = {
        "get": _described("sessions", "Public keys of access tokens",
        "A JSON Web Key Set (RFC 7517).", {
            "type": "object", "required": ["keys"], "properties": {"keys": {"type": "array",
            "items": {"type": "object"}}},
        })
    }  # fmt: skip
    fate = _described(
        "events", "What became of an event",
        "Whether it waits, was quarantined, is billed on which lines, or is not and why. Both keys are "
        "percent-encoded, slashes as `%2F`.",
        {"$ref": "#/components/schemas/EventFate"},
    )  # fmt: skip
    fate["responses"]["200"]["content"]["application/json"]["example"] = FATE
    fate["parameters"] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}, "example": example}
        for name, example in (("source", "gateway"), ("id", "req-1042"))
    ]
    paths["/v1/events/{source}/{id}"] = {"get": fate}
    invoice = _described(
        "billing", "An invoice's document",
        "The finished document, byte for byte; once it is voided, `status` says so. Drafts have no number.",
        {"$ref": "#/components/schemas/Invoice"},
    )  # fmt: skip
    invoice["responses"]["200"]["content"]["application/json"]["example"] = _EXAMPLE
    number = {"type": "string", "minLength": 1}
    invoice["parameters"] = [
        {"name": "number", "in": "path", "required": True, "schema": number, "example": "northwind-ai-000002"},
        {
            "name": "format",
            "in": "query",
            "description": "json (the document), pdf, or EN 16931: xml (UBL 2.1) or cii (CII D22B).",
            "schema": {"type": "string", "enum": ["json", "pdf", "xml", "cii"], "default": "json"},
        },
        {
            "name": "known_at",
            "in": "query",
            "description": "As it was known at this instant (RFC 3339); not found if it was not final then.",
            "schema": {"type": "string"},
            "example": "2024-01-05T00:00:00Z",
        },
    ]
    binary = {"schema": {"type": "string", "format": "binary"}}
    invoice["responses"]["200"]["content"] |= {"application/pdf": binary, "application/xml": binary}
    paths["/v1/invoices/{number}"] = {"get": invoice}


def _described(tag: str, summary: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "tags": [tag],
        "summary": summary,
        "description": description,
        "responses": {
            "200": {"description": "Successful Response", "content": {"application/json": {"schema": schema}}}
        },
    }


def _complete_operation(path: str, method: str, operation: dict[str, Any], scope: str | None) -> None:
    responses = operation["responses"]
    operation["operationId"] = operation_name(method, path)
    responses.pop("422", None)
    parameters = operation.setdefault("parameters", [])
    parameters.append(_VERSIONED)
    names = [*_COMMON, *_PROBLEMS_OF.get((path, method), ())]
    if "requestBody" in operation:
        names.append("unsupported-media-type")
    by_status: dict[int, list[str]] = {}
    for name in names:
        by_status.setdefault(KINDS[name].status, []).append(name)
    read = method == "get" and (path, method) in _PROBLEMS_OF and path not in _ANONYMOUS
    if read and "text/event-stream" not in responses["200"]["content"]:
        parameters.append(_CONDITION)
        by_status[400].append("unsupported-version")
        responses["304"] = {"description": "What the client has still holds.", "headers": _headers(("ETag",))}
        responses["200"]["headers"] = _headers(("ETag", "Cache-Control", "Api-Version", *_LIMITED))
        if "cursor" in {one["name"] for one in parameters}:
            by_status[400].append("invalid-cursor")
    for status, kinds in sorted(by_status.items()):
        responses[str(status)] = _refusal(kinds)
    if path == "/readyz":
        responses["503"] = {"description": "Not ready", "content": responses["200"]["content"]}
    if (path, method) in _PROBLEMS_OF and path not in _ANONYMOUS:
        scopes = [] if scope is None else [scope]
        operation["security"] = [{name: scopes} for name in _CREDENTIALS.get((path, method), ("AccessToken",))]


def _refusal(names: list[str]) -> dict[str, Any]:
    kind = KINDS[names[0]]
    example = {
        "type": PREFIX + names[0],
        "title": kind.title,
        "status": kind.status,
        "detail": kind.cure,
        "instance": "urn:uuid:0d4cb7a8-6f6f-4c62-8a3c-2f1f0c9be0d5",
    }
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}}
    described: dict[str, Any] = {
        "description": "; ".join(KINDS[name].title for name in names),
        "content": content,
    }
    if kind.status == 429:
        described["headers"] = _headers(("Retry-After", *_LIMITED))
    return described


def _headers(names: tuple[str, ...]) -> dict[str, Any]:
    return {name: {"schema": {"type": "string"}} for name in names}
