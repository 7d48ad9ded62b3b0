"""Value committer: models are frozen, approved, closed, compared and verified over HTTP as the command line does it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from serving_api.routes.value.work import refused_of_commit
from tests.support.commits import printed
from tests.support.serving import Api, assert_problem, bearer, model_text
from valueverse.errors import RefusalError
from valueverse.platform.access.api_keys import issue_api_key
from valueverse.platform.warehouse import connect
from valueverse.services.audit.sign_log import sign_log

if TYPE_CHECKING:
    import httpx

    from valueverse.platform.settings import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.integration]
SCOPES = {
    "author": ["billing:read", "value:write"],
    "vendor": ["value:approve"],
    "customer": ["value:approve", "value:write"],
    "reader": ["billing:read", "audit:read"],
}
"""A key for each of those who take part; that of the customer's side could commit too."""


@pytest.fixture(scope="module")
def keys(keys: dict[str, str], module_settings: Settings) -> dict[str, str]:
    """Keys by part and tenant; delta has no commit yet."""
    with connect(module_settings, "builder") as connection:
        connection.execute(
            "insert into billing.tenant (tenant_id, name, timezone, currency) values ('delta', 'Delta', 'UTC', 'USD')"
        )
        parts = [(part, tenant) for part in SCOPES for tenant in ("delta", "birch", "cedar")]
        return keys | {f"{part} of {tenant}": issue_api_key(connection, tenant, SCOPES[part]) for part, tenant in parts}


def prefix(api: Api, part: str, tenant: str = "delta") -> str:
    return api.keys[f"{part} of {tenant}"].split("_")[1]


async def send(
    api: Api, part: str, method: str, path: str, body: Any = None, tenant: str = "delta", **headers: str
) -> httpx.Response:
    """A request by one of those who take part."""
    who = f"{part} of {tenant}"
    if who not in api.tokens:
        api.tokens[who] = await api.sign_in(who)
    given = bearer(api.tokens[who]["access_token"]) | {name.replace("_", "-"): text for name, text in headers.items()}
    if isinstance(body, str):
        return await api.client.request(method, f"/v1{path}", content=body, headers=given)
    return await api.client.request(method, f"/v1{path}", json=body, headers=given)


async def committed(api: Api, model: str, body: Any = None, **how: Any) -> dict[str, Any]:
    await send(api, "author", "POST", "/value-models", model_text(model), how.get("tenant", "delta"))
    made = await send(api, "author", "POST", f"/value-models/{model}/commits", body, **how)
    assert made.status_code == 201, made.text
    found: dict[str, Any] = made.json()
    return found


async def test_a_commit_is_made_approved_changed_and_closed_as_on_the_command_line(
    api: Api, module_settings: Settings, tmp_path: Any
) -> None:
    text = model_text("agreed")
    file = tmp_path / "m.yaml"
    file.write_text(text, encoding="utf-8")
    made = await committed(api, "agreed", {"scenario": "base", "seed": 7}, Idempotency_Key="made")
    assert made["state"] == "proposed"
    author = ("--author", prefix(api, "author"), "--seed", "7")
    again = json.loads(printed(module_settings, "delta", "commit", str(file), *author))
    assert again == made | {"new": False}
    same = await send(api, "author", "POST", "/value-models/agreed/commits", {"seed": 7})
    assert (same.status_code, same.json()) == (200, again)
    replayed = await send(
        api, "author", "POST", "/value-models/agreed/commits", {"scenario": "base", "seed": 7}, Idempotency_Key="made"
    )
    assert (replayed.json(), replayed.headers["idempotent-replayed"]) == (made, "true")

    one = made["commit"]
    for part in ("vendor", "customer"):
        answer = await send(api, part, "POST", f"/commits/{one}/approvals", {"side": part})
        assert answer.status_code == 201, answer.text
    assert answer.json()["state"] == "active"
    changed = {"parent": one, "reason": "another seed", "seed": 8}
    two = (await send(api, "author", "POST", "/value-models/agreed/commits", changed)).json()["commit"]
    difference = await send(api, "reader", "GET", f"/commits/{two}/diff")
    assert difference.text == printed(module_settings, "delta", "diff", one, two)
    backwards = await send(api, "reader", "GET", f"/commits/{one}/diff?before={two}")
    assert backwards.text == printed(module_settings, "delta", "diff", two, one)
    for part in ("vendor", "customer"):
        await send(api, part, "POST", f"/commits/{two}/approvals", {"side": part})
    closed = await send(
        api, "vendor", "POST", f"/commits/{two}/closings", {"outcome": "written_off", "reason": "came to nothing"}
    )
    assert (closed.status_code, closed.json()["state"]) == (201, "written_off")

    rows = (await send(api, "reader", "GET", "/commits?limit=100")).json()["data"]
    assert [json.dumps(row) for row in rows] == [
        json.dumps(json.loads(line)) for line in printed(module_settings, "delta", "log").splitlines()
    ]
    assert {row["commit"]: row["state"] for row in rows if row["model"] == "agreed"} == {
        one: "superseded",
        two: "written_off",
    }
    shown = (await send(api, "reader", "GET", f"/commits/{two}")).json()
    assert hashlib.sha256(shown["document"].encode()).hexdigest() == two
    assert [(step["action"], step["by"], step["reason"]) for step in shown["history"]] == [
        ("proposed", prefix(api, "author"), None),
        ("vendor", prefix(api, "vendor"), None),
        ("customer", prefix(api, "customer"), None),
        ("written_off", prefix(api, "vendor"), "came to nothing"),
    ]
    verified = await send(api, "reader", "GET", f"/commits/{two}/verify")
    assert verified.text == printed(module_settings, "delta", "verify")
    assert verified.json()["ok"] is True
    noted = verified.json()["head"]
    assert (await send(api, "reader", "GET", f"/commits/{two}/verify?head={noted}")).json()["ok"] is True
    lost = (await send(api, "reader", "GET", f"/commits/{two}/verify?head={'0' * 64}")).json()
    assert lost["problems"][0]["reason"] == "head_not_found"


@pytest.mark.security
async def test_who_commits_does_not_approve_and_nobody_approves_for_both_sides(api: Api) -> None:
    body = {"side": "vendor"}
    await send(api, "author", "POST", "/value-models", model_text("sides"))
    own = (await send(api, "customer", "POST", "/value-models/sides/commits")).json()["commit"]
    refused = await send(api, "customer", "POST", f"/commits/{own}/approvals", body)
    assert "somebody else approves it" in assert_problem(refused, 409, "conflict")["detail"]
    assert (await send(api, "vendor", "POST", f"/commits/{own}/approvals", body)).status_code == 201
    both = await send(api, "vendor", "POST", f"/commits/{own}/approvals", {"side": "customer"})
    assert "for the other side" in assert_problem(both, 409, "conflict")["detail"]
    for more in ({"by": "somebody else"}, {"side": "nobody"}, {}):
        answer = await send(api, "vendor", "POST", f"/commits/{own}/approvals", body | more if more else more)
        assert_problem(answer, 422, "invalid-request")
    named = await send(api, "customer", "POST", "/value-models/sides/commits", {"author": "somebody else"})
    assert assert_problem(named, 422, "invalid-request")["errors"][0]["path"] == "body.author"
    assert_problem(
        await send(api, "vendor", "POST", f"/commits/{own}/closings", {"outcome": "confirmed", "reason": "r"}),
        409,
        "conflict",
    )


@pytest.mark.security
async def test_commits_of_another_tenant_are_not_there_and_each_route_needs_its_scope(api: Api) -> None:
    made = (await committed(api, "mine"))["commit"]
    closing = {"outcome": "confirmed", "reason": "r"}
    for method, path, body in (
        ("GET", "", None), ("GET", "/diff", None), ("GET", "/verify", None),
        ("POST", "/approvals", {"side": "vendor"}), ("POST", "/closings", closing),
    ):  # fmt: skip
        part, wrong = ("reader", "vendor") if method == "GET" else ("vendor", "author")
        for commit, tenant in ((made, "birch"), (made[:8], "birch"), ("0" * 64, "delta"), (made[:7], "delta")):
            answer = await send(api, part, method, f"/commits/{commit}{path}", body, tenant)
            assert_problem(answer, 404, "not-found")
        assert_problem(await send(api, wrong, method, f"/commits/{made}{path}", body), 403, "insufficient-scope")
    for path in ("", "/verify"):
        short, whole = [await send(api, "reader", "GET", f"/commits/{one}{path}") for one in (made[:8], made)]
        assert (short.status_code, short.content) == (200, whole.content)
    for path, body in (("/approvals", {"side": "vendor"}), ("/closings", closing)):
        # An approval is of what was read: of the whole hash.
        assert_problem(await send(api, "vendor", "POST", f"/commits/{made[:8]}{path}", body), 404, "not-found")
    ambiguous = refused_of_commit(RefusalError("ambiguous_commit", "'0a' begins 0a1, 0a2", "commit"), "query")
    assert (ambiguous.name, ambiguous.errors) == (
        "invalid-request",
        [{"path": "path.id", "message": "'0a' begins 0a1, 0a2"}],
    )
    assert_problem(await send(api, "vendor", "POST", "/value-models/mine/commits"), 403, "insufficient-scope")
    assert_problem(await send(api, "author", "POST", "/value-models/mine/commits", tenant="birch"), 404, "not-found")
    assert_problem(await send(api, "vendor", "GET", "/commits"), 403, "insufficient-scope")
    listed = (await send(api, "reader", "GET", "/commits?limit=100", tenant="birch")).json()["data"]
    assert made not in {row["commit"] for row in listed}
    theirs = {"parent": made, "reason": "to end what another tenant agreed"}
    await send(api, "author", "POST", "/value-models", model_text("mine"), "birch")
    refused = await send(api, "author", "POST", "/value-models/mine/commits", theirs, "birch")
    assert assert_problem(refused, 422, "invalid-request")["errors"] == [
        {"path": "body.parent", "message": "No commit of yours has this id."}
    ]


async def test_a_refusal_names_the_place_in_the_request_and_no_option_of_a_command(api: Api) -> None:
    bound = "schema: valueverse.value_model/v1\nmodel: bound\ncurrency: USD\naxis: {grain: month, periods: 2}\n"
    bound += "inputs: {calls: {unit: 1, bind: {metric: usage.none, agg: sum, freeze: baseline}, missing: error}}\n"
    bound += "outputs: [calls]\n"
    assert (await send(api, "author", "POST", "/value-models", bound)).status_code == 201
    for body, path in (
        ({}, "body.start"),
        ({"start": "2024-13-01"}, "body.start"),
        ({"start": "2024-01-01"}, "model.inputs.calls"),
        ({"start": "2024-01-01", "scenario": "none"}, "body.scenario"),
        ({"start": "2024-01-01", "customer": "nobody"}, "body.customer"),
        ({"start": "2024-01-01", "data": [], "customer": "c1"}, "body.customer"),
        ({"start": "2024-01-01", "parent": "0" * 64}, "body.parent"),
    ):
        answer = await send(api, "author", "POST", "/value-models/bound/commits", body)
        (error,) = assert_problem(answer, 422, "invalid-request")["errors"]
        assert error["path"] == path, answer.text
        assert not re.search(r"--\w|`valueverse", answer.text)
    made = await committed(api, "reasoned")
    without = await send(api, "author", "POST", "/value-models/reasoned/commits", {"parent": made["commit"]})
    assert assert_problem(without, 422, "invalid-request")["errors"][0]["path"] == "body.reason"
    nothing = await send(api, "reader", "GET", f"/commits/{made['commit']}/diff")
    assert assert_problem(nothing, 422, "invalid-request")["errors"][0]["path"] == "query.before"
    assert_problem(await send(api, "author", "POST", "/value-models/none/commits"), 404, "not-found")
    earlier = await send(api, "author", "POST", "/value-models/reasoned/commits", {"version": 2})
    assert_problem(earlier, 404, "not-found")


async def test_of_commits_and_approvals_at_once_each_is_made_once(api: Api) -> None:
    await send(api, "author", "POST", "/value-models", model_text("raced"))
    made = await asyncio.gather(
        *(send(api, "author", "POST", "/value-models/raced/commits", {"seed": 1 + n % 2}) for n in range(6))
    )
    assert sorted(one.status_code for one in made) == [200, 200, 200, 200, 201, 201]
    commit = made[0].json()["commit"]
    approvals, body = f"/commits/{commit}/approvals", {"side": "vendor"}
    answers = await asyncio.gather(*(send(api, part, "POST", approvals, body) for part in ("vendor", "customer")))
    assert sorted(one.status_code for one in answers) == [201, 409]
    assert (await send(api, "reader", "GET", f"/commits/{commit}/verify")).json()["ok"] is True


async def test_commits_are_listed_page_by_page(api: Api) -> None:
    for name in ("p1", "p2", "p3"):
        await committed(api, name, tenant="cedar")
    found: list[str] = []
    query = "?limit=2"
    while True:
        page = (await send(api, "reader", "GET", f"/commits{query}", tenant="cedar")).json()
        found += [one["model"] for one in page["data"]]
        if not page["has_more"]:
            break
        query = f"?limit=2&cursor={page['next_cursor']}"
    assert found[-3:] == ["p1", "p2", "p3"]


async def test_each_write_is_in_the_audit_log_with_key_and_request(api: Api, module_settings: Settings) -> None:
    commit = (await committed(api, "audited"))["commit"]
    answers = await send(api, "vendor", "POST", f"/commits/{commit}/approvals", {"side": "vendor"})
    sign_log(module_settings, whole=True)
    rows = []
    query = "/audit/entries?limit=100"
    while query:
        page = (await send(api, "reader", "GET", query)).json()
        rows += [json.loads(row["entry"]) if isinstance(row["entry"], str) else row["entry"] for row in page["data"]]
        query = f"/audit/entries?limit=100&cursor={page['next_cursor']}" if page["has_more"] else ""
    mine = [(row["action"], row["actor"], row["request"]) for row in rows if row["object"] == commit]
    assert [(action, actor) for action, actor, _ in mine] == [
        ("commit.proposed", prefix(api, "author")),
        ("commit.vendor", prefix(api, "vendor")),
    ]
    assert mine[1][2] == answers.headers["x-request-id"]
