"""No text of any body is stored that holds the number of a card: the fields are those of the OpenAPI document."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from serving_api.stored_texts import SECRETS, UNSEARCHED
from tests.support.serving import assert_problem, bearer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.serving import Api

pytestmark = [pytest.mark.anyio, pytest.mark.integration, pytest.mark.security]
CARD = "paid by 4111 1111 1111 1111"
Schema = dict[str, Any]
WITHOUT_TOKEN = {
    "/v1/sessions/refresh": set[str](),
    "/v1/portal-sessions/exchange": set[str](),
    "/v1/auth/login": {"tenant", "email"},
    "/v1/auth/oidc/session": {"code_verifier"},
    "/v1/auth/reset": {"tenant", "email"},
    "/v1/auth/reset/confirm": set[str](),
    "/v1/invitations/accept": {"name"},
}
"""Routes that ask for no token, and the texts that they take besides secrets. Of these a name alone is stored, and is
searched by itself."""


def fields(schema: Schema, known: dict[str, Schema], seen: tuple[str, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every place of a body that may hold a text: names of members, and 0 for the first of a list."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name not in seen:
            yield from fields(known[name], known, (*seen, name))
        return
    for one in (option for kind in ("anyOf", "oneOf", "allOf") for option in schema.get(kind, ())):
        yield from fields(one, known, seen)
    for name, one in schema.get("properties", {}).items():
        yield from ((name, *rest) for rest in fields(one, known, seen))
    if isinstance(more := schema.get("additionalProperties"), dict) or more is True:
        yield ("any",)
    if "items" in schema:
        yield from ((0, *rest) for rest in fields(schema["items"], known, seen))
    kinds = schema.get("type", [])
    if {"string", "number", "integer"} & {*([kinds] if isinstance(kinds, str) else kinds)}:
        yield ()


def holding(place: tuple[str | int, ...], value: object) -> object:
    """A body that holds nothing but a value at a place."""
    for part in reversed(place):
        value = [value] if part == 0 else {part: value}
    return value


def named(place: tuple[str | int, ...]) -> str:
    """A place as problems name it."""
    return "body" + "".join("[0]" if part == 0 else f".{part}" for part in place)


async def test_every_text_of_every_body_is_searched(api: Api) -> None:
    document = (await api.client.get("/openapi.json")).json()
    known, searched, headers = document["components"]["schemas"], 0, bearer(api.token("acme", "admin"))
    headers |= {"idempotency-key": "card", "if-match": "*"}
    for path, item in document["paths"].items():
        address = re.sub(r"\{\w+\}", "x", path)
        for method, operation in item.items():
            content = operation.get("requestBody", {}).get("content", {})
            if path in UNSEARCHED or path in WITHOUT_TOKEN:
                continue
            for kind, described in content.items():
                places = {*fields(described.get("schema", {}), known)} if "json" in kind else {()}
                texts = {place: holding(place, CARD) for place in places if not SECRETS & {*place}}
                texts |= {(): CARD} if "json" not in kind else {}
                for place, body in texts.items():
                    text = json.dumps(body) if "json" in kind else f"text: {CARD}\n"
                    answer = await api.client.request(
                        method, address, content=text, headers=headers | {"content-type": kind}
                    )
                    problem = assert_problem(answer, 422, "invalid-request")
                    assert [one["path"] for one in problem["errors"]] == [named(place)], (method, path, place)
                    assert "card number" in answer.text
                    assert "1111 1111" not in answer.text
                    searched += 1
    assert searched > 100


async def test_what_is_not_searched_is_listed_with_its_reason(api: Api) -> None:
    """Who adds a route without a token, or leaves one out of the search, says here what it stores."""
    document = (await api.client.get("/openapi.json")).json()
    known, free = document["components"]["schemas"], {}
    bodies = {
        path: operation["requestBody"]["content"]["application/json"].get("schema", {})
        for path, item in document["paths"].items()
        for operation in item.values()
        if "requestBody" in operation and "security" not in operation
    }
    for path, schema in bodies.items():
        free[path] = {str(place[0]) for place in fields(schema, known)} - SECRETS - {"refresh_token"}
    assert free == WITHOUT_TOKEN
    assert set(UNSEARCHED) <= document["paths"].keys()
    stored = {path for path, reason in UNSEARCHED.items() if "nothing of the body is stored" not in reason}
    assert stored == {"/v1/events", "/v1/customers/{key}/payment-instruments"}


async def test_a_secret_may_be_any_text_and_the_name_of_who_accepts_an_invitation_may_not(api: Api) -> None:
    """A password is stored as a hash alone: it is judged by the rules of passwords."""
    given = {"token": "vvi_of-nobody", "name": CARD, "password": CARD}
    problem = assert_problem(await api.client.post("/v1/invitations/accept", json=given), 422, "invalid-request")
    assert [one["path"] for one in problem["errors"]] == ["body.name"]
    body = {"current": CARD, "password": CARD}
    answer = await api.client.post("/v1/auth/password", json=body, headers=bearer(api.token("acme", "admin")))
    assert_problem(answer, 403, "insufficient-role")
