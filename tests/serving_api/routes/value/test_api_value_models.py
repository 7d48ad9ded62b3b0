"""Value architect: texts of models are stored by version, checked and run as the command line does it, in bounds."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from serving_api.routes.value import work
from tests.support.billing_rows import TENANTS
from tests.support.hostile_models import models
from tests.support.serving import Api, assert_problem, bearer, model_text
from valueverse.cli import app
from valueverse.platform.access.api_keys import issue_api_key
from valueverse.platform.warehouse import connect
from valueverse.value import library

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from valueverse.platform.settings import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.integration]
READY = "support_deflection"


@pytest.fixture(scope="module")
def keys(keys: dict[str, str], module_settings: Settings) -> dict[str, str]:
    """Keys that may read and write value models; that of cedar may read alone."""
    with connect(module_settings, "builder") as connection:
        scopes = {one: ["billing:read", *(["value:write"] if one != "cedar" else [])] for one in TENANTS}
        return {one: issue_api_key(connection, one, scopes[one]) for one in TENANTS}


async def send(
    api: Api,
    method: str,
    path: str,
    body: str | bytes | dict[str, Any] | None = None,
    tenant: str = "acme",
    **headers: str,
) -> httpx.Response:
    """A request as a tenant."""
    if tenant not in api.tokens:
        api.tokens[tenant] = await api.sign_in(tenant)
    given = bearer(api.tokens[tenant]["access_token"]) | {
        name.replace("_", "-"): text for name, text in headers.items()
    }
    if isinstance(body, dict):
        body, given["Content-Type"] = json.dumps(body), "application/json"
    return await api.client.request(method, f"/v1{path}", content=body, headers=given)


async def stored(api: Api, model: str, **how: Any) -> httpx.Response:
    answer = await send(api, "POST", "/value-models", model_text(model), **how)
    assert answer.status_code == 201, answer.text
    return answer


def command(*words: str) -> str:
    return CliRunner().invoke(app, ["value", *words]).stdout


async def test_a_ready_model_is_read_stored_checked_and_run_as_on_the_command_line(api: Api, tmp_path: Path) -> None:
    names = [one["name"] for one in (await api.get("acme", "/v1/library")).json()["data"]]
    assert names == library.names()
    ready = (await api.get("acme", f"/v1/library/{READY}")).json()
    assert (ready["text"], ready["title"]) == (
        library.text(READY),
        json.loads(command("library", READY, "--json"))["title"],
    )
    file = tmp_path / "m.yaml"
    file.write_text(ready["text"], encoding="utf-8")
    made = await send(api, "POST", "/value-models", ready["text"], Content_Type="application/yaml")
    assert (made.status_code, made.json()["key"], made.json()["version"]) == (201, READY, 1)
    shown = await api.get("acme", f"/v1/value-models/{READY}")
    assert (shown.content, shown.headers["etag"]) == (made.content, made.headers["etag"])
    assert shown.json()["text"] == ready["text"]

    checked = await send(api, "POST", f"/value-models/{READY}/check")
    assert checked.text == command("check", str(file), "--json")
    run = await send(api, "POST", f"/value-models/{READY}/run", {"draws": 1024, "seed": 7, "scenarios": ["base"]})
    assert run.text == command("run", str(file), "--draws", "1024", "--seed", "7", "--scenario", "base", "--json")
    assert json.loads(run.text)["content_hash"] == made.json()["content_hash"]
    await stored(api, "plain")
    file.write_text(model_text("plain"), encoding="utf-8")
    assert (await send(api, "POST", "/value-models/plain/run")).text == command("run", str(file), "--json")


async def test_measured_data_count_for_the_customer_asked_for(api: Api, tmp_path: Path) -> None:
    bound = "schema: valueverse.value_model/v1\nmodel: bound\naxis: {grain: month, start: 2024-01-01, periods: 2}\n"
    bound += "units: {base: [call]}\ninputs: {calls: {unit: call/month, bind: {metric: usage.calls, "
    bound += "agg: sum}, missing: zero}}\n"
    bound += "outputs: [calls]\n"
    rows = [
        {"metric": "usage.calls", "customer": customer, "period": "2024-01", "value": value}
        for customer, value in (("c1", "5"), ("c2", "7.5"))
    ]
    (tmp_path / "m.yaml").write_text(bound, encoding="utf-8")
    (tmp_path / "d.csv").write_text(
        "\n".join(["metric,customer,period,value", *(",".join(row.values()) for row in rows)]), encoding="utf-8"
    )
    assert (await send(api, "POST", "/value-models", bound)).status_code == 201
    run = await send(api, "POST", "/value-models/bound/run", {"data": rows, "customer": "c2"})
    assert run.text == command(
        "run", str(tmp_path / "m.yaml"), "--data", str(tmp_path / "d.csv"), "--customer", "c2", "--json"
    )
    unknown = await send(api, "POST", "/value-models/bound/run", {"data": rows, "customer": "c3"})
    assert assert_problem(unknown, 422, "invalid-request")["errors"][0]["path"] == "body.customer"


async def test_a_change_makes_a_version_of_what_was_read_and_of_nothing_else(api: Api) -> None:
    first = await stored(api, "changing")
    tag, second = first.headers["etag"], model_text("changing", "20")
    for headers, status, name in (
        ({}, 428, "precondition-required"),
        ({"If_Match": '"of another"'}, 412, "precondition-failed"),
        ({"If_Match": f"W/{tag}"}, 412, "precondition-failed"),
    ):
        assert_problem(await send(api, "PUT", "/value-models/changing", second, **headers), status, name)
    changed = await send(api, "PUT", "/value-models/changing", second, If_Match=tag, Idempotency_Key="once")
    assert (changed.status_code, changed.json()["version"], changed.json()["text"]) == (200, 2, second)
    again = await send(api, "PUT", "/value-models/changing", second, If_Match=tag, Idempotency_Key="once")
    assert (again.content, again.headers["etag"]) == (changed.content, changed.headers["etag"])
    assert again.headers["idempotent-replayed"] == "true"
    assert_problem(await send(api, "PUT", "/value-models/changing", second, If_Match=tag), 412, "precondition-failed")
    same = await send(api, "PUT", "/value-models/changing", second, If_Match=changed.headers["etag"])
    assert same.json()["version"] == 2
    assert (await api.get("acme", "/v1/value-models/changing", version=1)).content == first.content
    assert_problem(await api.get("acme", "/v1/value-models/changing", version=3), 404, "not-found")


async def test_of_two_changes_at_once_one_is_made(api: Api) -> None:
    first = await stored(api, "raced")
    answers = await asyncio.gather(
        *(
            send(api, "PUT", "/value-models/raced", model_text("raced", str(n)), If_Match=first.headers["etag"])
            for n in range(20, 24)
        )
    )
    assert sorted(one.status_code for one in answers) == [200, 412, 412, 412]


async def test_a_model_is_stored_once_under_its_own_name(api: Api) -> None:
    await stored(api, "twice", Idempotency_Key="first")
    replayed = await send(api, "POST", "/value-models", model_text("twice"), Idempotency_Key="first")
    assert (replayed.status_code, replayed.headers["idempotent-replayed"]) == (201, "true")
    assert_problem(await send(api, "POST", "/value-models", model_text("twice")), 409, "conflict")
    tag = replayed.headers["etag"]
    other = await send(api, "PUT", "/value-models/twice", model_text("thrice"), If_Match=tag)
    assert assert_problem(other, 422, "invalid-request")["errors"][0]["path"] == "body.model"
    for method in ("PUT", "POST"):
        path = "/value-models/absent" + ("/check" if method == "POST" else "")
        assert_problem(await send(api, method, path, model_text("absent"), If_Match=tag), 404, "not-found")


@pytest.mark.security
async def test_models_of_another_tenant_are_not_there_and_each_route_needs_its_scope(api: Api) -> None:
    made = await stored(api, "mine")
    for method, path in (
        ("GET", "/value-models/mine"), ("PUT", "/value-models/mine"), ("POST", "/value-models/mine/check"),
        ("POST", "/value-models/mine/run"),
    ):  # fmt: skip
        body = model_text("mine") if method == "PUT" else None
        answer = await send(api, method, path, body, "birch", If_Match=made.headers["etag"])
        assert_problem(answer, 404, "not-found")
    assert "mine" not in [one["key"] for one in (await api.get("birch", "/v1/value-models")).json()["data"]]
    theirs = await send(api, "POST", "/value-models", model_text("mine", "1"), "birch")
    assert theirs.status_code == 201
    assert (await api.get("acme", "/v1/value-models/mine")).content == made.content
    refused = await send(api, "POST", "/value-models", model_text("x"), "cedar")
    assert_problem(refused, 403, "insufficient-scope")
    assert_problem(await api.client.get("/v1/library"), 401, "invalid-token")
    assert_problem(await api.get("acme", "/v1/library/nothing"), 404, "not-found")


async def test_models_are_listed_by_key_page_by_page(api: Api) -> None:
    for name in ("b2", "b1", "b3"):
        await stored(api, name, tenant="birch")
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await api.get("birch", "/v1/value-models", limit=2, **cursor)).json()
        found += [one["key"] for one in page["data"]]
        if not page["has_more"]:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert found == sorted(found)
    assert {"b1", "b2", "b3"} <= set(found)


DEEP = "(" * 5_000 + "1" + ")" * 5_000
HOSTILE = {
    "deep": ("variables: {x: {expr: '" + DEEP + "'}}", "body.variables.x.expr"),
    "cycle": ("variables: {x: {expr: y}, y: {expr: x}}", "body.variables.x.expr"),
    "bomb": ("variables: " + "{a: " * 200 + "1" + "}" * 200, "body"),
    "aliases": ("inputs: {a: &a [1, 1], b: &b [*a, *a], c: [*b, *b]}", "body"),
}


@pytest.mark.security
@pytest.mark.parametrize("kind", HOSTILE)
async def test_a_hostile_formula_is_refused_with_its_place_and_nothing_is_stored(api: Api, kind: str) -> None:
    section, path = HOSTILE[kind]
    text = f"schema: valueverse.value_model/v1\nmodel: hostile_{kind}\n{section}\noutputs: [x]\n"
    refused = assert_problem(await send(api, "POST", "/value-models", text), 422, "invalid-request")
    assert any(one["path"].startswith(path) for one in refused["errors"]), refused
    assert any("line " in one["message"] for one in refused["errors"])
    assert_problem(await api.get("acme", f"/v1/value-models/hostile_{kind}"), 404, "not-found")
    await api.get("acme", "/v1/value-models")
    checked = await send(api, "POST", "/value-models/of_acme/check", text)
    assert (checked.status_code, checked.json()["ok"]) == (200, False)


@pytest.mark.security
async def test_a_formula_that_grows_beyond_all_numbers_is_refused_when_it_is_run(api: Api) -> None:
    text = model_text("growing").replace("hours * share", "9^9^9^9^hours")
    assert (await send(api, "POST", "/value-models", text)).status_code == 201
    answer = await send(api, "POST", "/value-models/growing/run")
    (error,) = assert_problem(answer, 422, "invalid-request")["errors"]
    assert error["path"] == "model.saved"
    assert "grows beyond what a number holds" in error["message"]


@pytest.mark.security
async def test_whatever_a_model_holds_is_answered(api: Api) -> None:
    for number, one in enumerate(models(seed=3, count=40)):
        text = one.text.encode("utf-8", "surrogatepass")
        answer = await send(api, "POST", "/value-models", text)
        assert answer.status_code in {201, 400, 409, 422}, (number, one.kind, answer.text)


@pytest.mark.security
async def test_a_run_beyond_the_bounds_is_refused_before_it_begins(api: Api) -> None:
    too_much = (
        "schema: valueverse.value_model/v1\nmodel: endless\naxis: {grain: month, start: 2024-01-01, periods: 600}\n"
    )
    too_much += "inputs: {a: {dist: {uniform: [0, 1]}}}\nvariables: {x: {expr: 'prev(x, init=0) + a'}}\n"
    too_much += "outputs: [x, {sobol: [x]}]\n"
    made = await send(api, "POST", "/value-models", too_much)
    assert made.status_code == 201, made.text
    for wanted, words in (
        ({"draws": 2**22}, "2e+09 are the most"),
        ({"outputs": ["x"], "scenarios": ["none"]}, "no scenario"),
    ):
        answer = await send(api, "POST", "/value-models/endless/run", wanted)
        problem = assert_problem(answer, 422, "invalid-request")
        assert words in problem["errors"][0]["message"]
    for wrong in (
        {"draws": 0},
        {"draws": "many"},
        {"seed": -1},
        {"start": "soon"},
        {"nosuch": 1},
        {"outputs": ["nosuch"]},
    ):
        assert_problem(await send(api, "POST", "/value-models/endless/run", wrong), 422, "invalid-request")


async def test_while_others_take_all_turns_a_model_is_asked_for_later(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "PATIENCE", 0.01)
    turns = api.app.state.service.modelling
    taken = [object() for _ in range(2)]
    for one in taken:
        turns.acquire_on_behalf_of_nowait(one)
    try:
        answer = await send(api, "POST", "/value-models/of_acme/run")
    finally:
        for one in taken:
            turns.release_on_behalf_of(one)
    assert_problem(answer, 503, "unavailable")
    assert answer.headers["retry-after"] == "5"
    assert (await send(api, "POST", "/value-models/of_acme/check")).status_code == 200


async def test_a_body_that_is_no_model_is_refused(api: Api) -> None:
    assert_problem(await send(api, "POST", "/value-models", b"\xff"), 400, "malformed-request")
    assert_problem(
        await send(api, "POST", "/value-models", "x", Content_Type="text/csv"), 415, "unsupported-media-type"
    )
    assert_problem(await send(api, "POST", "/value-models", b"#" * (2**18 + 1)), 413, "body-too-large")
    assert_problem(await send(api, "POST", "/value-models?x=1", model_text("x")), 422, "invalid-request")
