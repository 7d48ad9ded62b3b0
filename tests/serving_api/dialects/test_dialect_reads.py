"""Usage as the clients of OpenMeter and Lago read it: worked out by the engine that bills, in their systems' shapes."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.metered_world import LARGE, metered_world, month_begins
from tests.support.serving import Api, assert_problem, bearer
from valueverse.metering import usage_questions
from valueverse.platform.access.api_keys import issue_api_key
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    import httpx

    from valueverse.platform.settings import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.integration]
METERS = "/compat/openmeter/api/v1/meters"
TOKENS = f"{METERS}/tokens/query"
SPRING = {"from": "2024-03-01T00:00:00Z", "to": "2024-05-01T00:00:00Z"}
CURRENT = "/compat/lago/api/v1/customers/{}/current_usage"


@pytest.fixture(scope="module")
def keys(keys: dict[str, str], module_settings: Settings) -> dict[str, str]:
    """Of tenants with meters and usage."""
    metered_world(module_settings)
    return keys


async def ask(api: Api, path: str, params: Any = None, tenant: str = "acme") -> httpx.Response:
    return await api.client.get(path, params=params, headers=bearer(api.keys[tenant]))


async def rows(api: Api, params: Any = None, path: str = TOKENS, tenant: str = "acme") -> list[tuple[Any, ...]]:
    """Start of the window, subject, group and the digits of each row."""
    answer = await ask(api, path, params, tenant)
    assert answer.status_code == 200, answer.text
    return [
        (one["windowStart"], one["subject"], one["groupBy"], str(one["value"]))
        for one in json.loads(answer.text, parse_float=Decimal, parse_int=Decimal)["data"]
    ]


async def test_a_meter_comes_to_what_its_usage_is_with_every_digit(api: Api) -> None:
    answer = await ask(api, TOKENS, SPRING)
    [row] = json.loads(answer.text, parse_float=Decimal)["data"]
    assert str(row["value"]) == "12345678901234567897.623456789"
    assert {name: answer.json()[name] for name in SPRING} == SPRING
    assert (row["windowStart"], row["windowEnd"], row["subject"], row["groupBy"]) == (*SPRING.values(), None, {})
    assert await rows(api, SPRING, f"{METERS}/users/query") == [(SPRING["from"], None, {}, "3")]
    [whole] = await rows(api, {"to": SPRING["to"]})
    assert whole[0] == "2024-03-30T23:30:00Z"
    assert await rows(api, {"from": "2030-01-01"}) == []


async def test_windows_are_those_of_the_zone_that_is_asked_for(api: Api) -> None:
    # The clocks of Berlin went forward on 31 March 2024, a day of 23 hours.
    berlin = SPRING | {"windowTimeZone": "Europe/Berlin"}
    days = await rows(api, berlin | {"windowSize": "DAY"})
    assert [(start, value) for start, _, _, value in days] == [
        ("2024-03-30T23:00:00Z", "3.5"),
        ("2024-03-31T22:00:00Z", "4"),
        ("2024-04-30T22:00:00Z", LARGE),
    ]
    months = await rows(api, berlin | {"windowSize": "MONTH"})
    assert [start for start, *_ in months] == ["2024-02-29T23:00:00Z", "2024-03-31T22:00:00Z", "2024-04-30T22:00:00Z"]
    hours = await rows(api, SPRING | {"windowSize": "HOUR", "windowTimeZone": "Asia/Kolkata"})
    assert [start for start, *_ in hours][:2] == ["2024-03-30T23:30:00Z", "2024-03-31T21:30:00Z"]
    minutes = await rows(api, SPRING | {"windowSize": "MINUTE"})
    assert [start for start, *_ in minutes][1] == "2024-03-31T00:15:00Z"


async def test_subjects_and_groups_have_a_row_each_and_filters_leave_rows_out(api: Api) -> None:
    begins = SPRING["from"]
    of_subjects = await rows(api, SPRING | {"subject": ["c1", "b1", "nobody"]})
    assert of_subjects == [(begins, "c1", {}, "3.5")]
    grouped = await rows(api, SPRING | {"groupBy": ["subject", "model"]})
    assert [(subject, group["model"], value) for _, subject, group, value in grouped] == [
        ("c1", "a", "1"),
        ("c1", "b", "2.5"),
        ("c2", "a", "4"),
        ("c2", None, LARGE),
    ]
    for params in (
        {"filterGroupBy[model]": "a"},
        {"filterGroupBy": "{'model': 'a', 'at.zone': 'z'}"},
        {"filterGroupBy[model]": ["a", "x"]},
    ):
        assert await rows(api, SPRING | params) == [(begins, None, {}, "5")]


async def test_a_body_asks_the_same_as_parameters(api: Api) -> None:
    asked = {"groupBy": ["model"], "filterGroupBy": {"model": ["b"]}, "subject": ["c1"], "clientId": "me"}
    answer = await api.client.post(TOKENS, json=SPRING | asked, headers=bearer(api.keys["acme"]))
    assert answer.status_code == 200, answer.text
    [row] = answer.json()["data"]
    assert (row["value"], row["subject"], row["groupBy"]) == (2.5, "c1", {"model": "b"})
    for body, status in ((b"{", 400), (b"[]", 400), (b'{"windowSize":"YEAR"}', 400)):
        headers = bearer(api.keys["acme"]) | {"content-type": "application/json"}
        wrong = await api.client.post(TOKENS, content=body, headers=headers)
        assert (wrong.status_code, wrong.headers["content-type"]) == (status, "application/problem+json")


async def test_meters_are_listed_as_their_client_reads_them(api: Api) -> None:
    listed = (await ask(api, METERS)).json()
    assert [one["slug"] for one in listed] == ["calls_of_acme", "tokens", "users"]
    one = await ask(api, f"{METERS}/tokens")
    assert one.json() == listed[1]
    assert one.json()["groupBy"] == {"model": "$.model", "at.zone": "$.at.zone"}
    shown = {name: one.json()[name] for name in ("aggregation", "eventType", "valueProperty")}
    assert shown == {"aggregation": "SUM", "eventType": "call", "valueProperty": "$.n"}
    again = await api.client.get(METERS, headers=bearer(api.keys["acme"]) | {"if-none-match": one.headers["etag"]})
    assert again.status_code == 200
    assert_problem(await ask(api, f"{METERS}/calls_of_birch"), 404, "not-found")


WRONG: list[tuple[Any, str]] = [
    ({"from": "noon"}, "query.from"),
    ({"windowSize": "WEEK"}, "query.windowSize"),
    ({"windowTimeZone": "Mars/Base"}, "windowTimeZone"),
    ({"groupBy": "colour"}, "groupBy"),
    ({"filterGroupBy[colour]": "red"}, "groupBy"),
    ({"filterGroupBy": "__import__('os')"}, "query.filterGroupBy"),
    ({"filterGroupBy": "(" * 4_000}, "query.filterGroupBy"),
    ({"filterCustomerId": "c1"}, "query.filterCustomerId"),
    ([("from", "2024-01-01"), ("from", "2024-02-01")], "query.from"),
]


async def test_what_cannot_be_asked_is_refused_with_its_place(api: Api) -> None:
    for params, place in WRONG:
        answer = await ask(api, TOKENS, params)
        assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json"), params
        assert answer.json()["errors"][0]["path"] == place, answer.text


async def test_an_answer_of_too_many_rows_is_refused(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage_questions, "MOST_ROWS", 2)
    answer = await ask(api, TOKENS, SPRING | {"windowSize": "MINUTE"})
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (400, "windowSize")


async def test_current_usage_is_what_the_period_would_be_invoiced_for_its_usage(api: Api) -> None:
    answer = await ask(api, CURRENT.format("c1"), {"external_subscription_id": "s1"})
    assert answer.status_code == 200, answer.text
    usage = answer.json()["customer_usage"]
    assert usage["from_datetime"] == month_begins().isoformat().replace("+00:00", "Z")
    # 100 x 0.10 + 100 x 0.05 of a, 10 x 0.10 of b, a call for 1; the fee is no usage.
    assert (usage["currency"], usage["amount_cents"]) == ("EUR", 1500 + 100 + 100)
    assert (usage["taxes_amount_cents"], usage["total_amount_cents"]) == (340, 2040)
    tokens, calls = usage["charges_usage"]
    assert (tokens["units"], tokens["amount_cents"], tokens["events_count"]) == ("210", 1600, 3)
    assert tokens["charge"]["charge_model"] == "graduated"
    assert (tokens["billable_metric"]["code"], tokens["billable_metric"]["aggregation_type"]) == ("call", "sum_agg")
    groups = {one["grouped_by"]["model"]: (one["units"], one["amount_cents"]) for one in tokens["grouped_usage"]}
    assert groups == {"a": ("200", 1500), "b": ("10", 100)}
    assert (calls["units"], calls["amount_cents"], calls["grouped_usage"]) == ("1", 100, [])
    untaxed = await ask(api, CURRENT.format("c1"), {"external_subscription_id": "s1", "apply_taxes": "false"})
    assert untaxed.json()["customer_usage"]["total_amount_cents"] == 1700
    # The invoice that will close the period says the same of these lines.
    shown = await api.get("acme", "/v1/customers/c1/upcoming-invoice")
    [running] = [one for one in shown.json()["invoices"] if one["period"]["from"] == usage["from_datetime"]]
    lines = [line["amount"] for line in running["lines"] if line["kind"] == "usage"]
    assert sum(Decimal(amount) for amount in lines) * 100 == usage["amount_cents"]


async def test_current_usage_of_what_does_not_run_is_not_found(api: Api) -> None:
    for customer, subscription in (("c1", "s9"), ("nobody", "s1"), ("c2", "s1"), ("b1", "t1")):
        answer = await ask(api, CURRENT.format(customer), {"external_subscription_id": subscription})
        assert answer.status_code == 404, answer.text
        assert answer.json()["code"] == "object_not_found"
    for params in ({}, {"external_subscription_id": "s1", "full_usage": "true"}):
        answer = await ask(api, CURRENT.format("c1"), params)
        assert (answer.status_code, answer.json()["code"]) == (422, "validation_errors")


@pytest.mark.security
async def test_usage_is_read_of_the_tenant_of_the_key_alone_and_with_its_scope(
    api: Api, module_settings: Settings
) -> None:
    assert await rows(api, SPRING | {"groupBy": "subject"}, tenant="birch") == []
    [own] = await rows(api, {"groupBy": "subject"}, tenant="birch")
    assert own[1:] == ("b1", {}, "7")
    assert [one["slug"] for one in (await ask(api, METERS, tenant="birch")).json()] == [
        "calls_of_birch",
        "tokens",
        "users",
    ]
    with connect(module_settings, "builder") as connection:
        sender = issue_api_key(connection, "acme", ["events:write"])
    for path in (METERS, f"{METERS}/tokens", TOKENS, f"{CURRENT.format('c1')}?external_subscription_id=s1"):
        assert (await api.client.get(path, headers=bearer(sender))).status_code == 403, path
        assert (await api.client.get(path)).status_code == 401, path
