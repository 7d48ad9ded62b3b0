"""Every route by every role: allowed or 403, as the scopes of the OpenAPI document and the one table of roles say."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from serving_api.problems import Problem
from serving_api.security.tokens import Identity
from tests.support.people import person
from valueverse.platform.access.api_keys import SCOPES
from valueverse.platform.access.people_roles import ROLES, SCOPES_OF

if TYPE_CHECKING:
    from tests.support.serving import Api
    from valueverse.platform.settings import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.integration, pytest.mark.security]
SIGN_OUT = ("delete", "/v1/sessions")
OPEN = {
    ("get", "/v1/me"), SIGN_OUT, ("post", "/v1/sessions"), ("post", "/v1/auth/password"),
    ("post", "/v1/auth/second-factor"), ("post", "/v1/auth/second-factor/confirm"),
    ("post", "/v1/auth/second-factor/remove"),
}  # fmt: skip
"""What is about whoever asks alone, and needs no scope."""
ELSEWHERE = {SIGN_OUT, ("post", "/v1/sessions")}
"""What ends a session or takes an API key alone: shown by the tests of sessions."""


async def test_every_route_answers_every_role_as_its_scope_says(
    api: Api, module_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has the scope is stopped right behind it, and hears which it was: no route does its work here."""
    asked = {
        (method, path): operation["security"][0].get("AccessToken", [])
        for path, item in api.app.openapi()["paths"].items()
        for method, operation in item.items()
        if "security" in operation
    }
    assert {place for place, scopes in asked.items() if not scopes} == OPEN
    assert {scope for scopes in asked.values() for scope in scopes} <= set(SCOPES)
    headers = {role: (await person(api, module_settings, role))[1] for role in ROLES}
    may = Identity.may

    def stopped(identity: Identity, scope: str) -> bool:
        if may(identity, scope):
            raise Problem("conflict", scope)
        return False

    monkeypatch.setattr(Identity, "may", stopped)
    wrong = []
    for (method, path), scopes in asked.items():
        if (method, path) in ELSEWHERE:
            continue
        address = re.sub(r"\{\w+\}", "1", path)
        for role, header in headers.items():
            body = {} if method == "get" else {"json": {}}
            answer = await api.client.request(method, address, headers=header, **body)
            stated = (answer.status_code, answer.json().get("detail"))
            if not scopes:
                as_stated = answer.status_code in {200, 422}
            elif set(scopes) <= set(SCOPES_OF[role]):
                as_stated = stated == (409, scopes[0])
            else:
                as_stated = stated == (403, f"This needs the scope {scopes[0]}.")
            wrong += [] if as_stated else [(role, method, path, stated)]
    assert wrong == []


def test_roles_are_ordered_by_what_they_may() -> None:
    assert set(SCOPES_OF["owner"]) == set(SCOPES_OF["admin"]) == set(SCOPES)
    assert all("admin" not in SCOPES_OF[role] for role in ROLES if role not in {"owner", "admin"})
    assert all("billing:read" in scopes for scopes in SCOPES_OF.values())
