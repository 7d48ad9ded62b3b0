"""Invoices, customers and usage as a client reads them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from serving_api.invoice_reads import document_bytes
from serving_api.problems import Problem
from serving_api.ranges import Range
from serving_api.responses import amount, matches
from serving_api.routes.webhooks.schemas import Replay
from tests.support.billing_rows import invoice_id
from tests.support.laws import law
from tests.support.serving import ODD_CUSTOMER, Api, assert_problem, canonical, invoice_document
from valueverse.money import minor_units
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.integration]

CUSTOMER = "customer zz-acme-only"


def numbers(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [row["number"] for row in answer.json()["data"]]


async def test_the_list_shows_the_totals_newest_first(api: Api) -> None:
    answer = await api.get("acme", "/v1/invoices")
    assert numbers(answer) == ["acme-000002", "acme-000001"]
    first = answer.json()["data"][0]
    assert first["total"] == first["amount_due"] == "71.12"
    assert first["period"] == {"from": "2023-11-01T00:00:00Z", "to": "2023-12-01T00:00:00Z"}
    assert answer.json()["has_more"] is False
    assert answer.json()["next_cursor"] is None


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"customer": CUSTOMER}, 2), ({"customer": ODD_CUSTOMER}, 0), ({"customer": "nobody"}, 0),
        ({"status": "finalised"}, 2), ({"status": "draft"}, 0), ({"status": "voided"}, 0),
        ({"currency": "USD"}, 2), ({"currency": "EUR"}, 0),
        ({"period_from": "2023-11-01"}, 1), ({"period_from": "2023-11-02"}, 0),
        ({"period_to": "2023-11-01"}, 1), ({"period_to": "2023-10-31"}, 0),
        ({"period_from": "2023-10-01", "period_to": "2023-12-01", "customer": CUSTOMER,
        "status": "finalised"}, 2),
    ],
)  # fmt: skip
async def test_filters_narrow_the_list(api: Api, query: dict[str, str], found: int) -> None:
    assert len(numbers(await api.get("acme", "/v1/invoices", **query))) == found


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"}, {"limit": "101"}, {"limit": "1.0"}, {"limit": " 1"}, {"limit": "-1"}, {"limit": ""},
        {"status": "paid"}, {"currency": "usd"}, {"currency": "USD\n"}, {"period_from": "0"},
        {"period_from": "2023-13-01"},
        {"period_to": "2023-11-01T00:00:00Z"}, {"customer": ""}, {"customer": "x" * 129},
        {"customer": "a\x00b"},
        {"custmer": CUSTOMER}, {"tenant_id": "birch"},
    ],
)  # fmt: skip
async def test_a_value_that_makes_no_sense_is_refused_with_its_place(api: Api, query: dict[str, str]) -> None:
    problem = assert_problem(await api.get("acme", "/v1/invoices", **query), 422, "invalid-request")
    assert [error["path"] for error in problem["errors"]] == [f"query.{next(iter(query))}"]


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/v1/invoices", ("period_from", "period_to")),
        ("/v1/customers/c1/usage", ("from", "to")),
        ("/v1/events", ("from", "to")),
        ("/compat/openmeter/api/v1/meters/tokens/query", ("from", "to")),
    ],
)
async def test_a_range_that_ends_before_it_begins_is_refused_with_both_its_places(
    api: Api, path: str, names: tuple[str, str]
) -> None:
    days = ("2023-12-01T00:00:00Z", "2023-11-30T00:00:00Z") if "compat" in path else ("2023-12-01", "2023-11-30")
    problem = (await api.get("acme", path, **dict(zip(names, days, strict=True)))).json()
    message = f"`{names[0]}` lies after `{names[1]}`: nothing lies between them"
    assert problem["errors"] == [{"path": f"query.{name}", "message": message} for name in names]


def test_every_route_that_takes_a_range_of_dates_refuses_a_reversed_one() -> None:
    """Simulations and re-ratings are judged by their service, as the command line is."""

    def takes_range(model: type[BaseModel]) -> bool:
        fields = (model.model_fields.get(name) for name in ("from_", "to", "period_from", "period_to"))
        return sum("datetime." in repr(field.annotation) for field in fields if field is not None) == 2

    def below(model: type[BaseModel]) -> set[type[BaseModel]]:
        return {model}.union(*map(below, model.__subclasses__()))

    found = {one for one in below(BaseModel) if one.__module__.startswith("serving_api.") and takes_range(one)}
    assert {one.__name__ for one in found if not issubclass(one, Range)} == {
        "MeterQuery", "NewSimulation", "NewRerating"
    }  # fmt: skip
    assert {one.__name__ for one in found if issubclass(one, Range)} == {
        "InvoiceQuery", "UsageQuery", "EventQuery", "Selected", "DeliveryQuery", "Replay"
    }  # fmt: skip
    with pytest.raises(Problem) as refused:
        Replay.model_validate({"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"})
    assert [one["path"] for one in refused.value.errors or ()] == ["body.from", "body.to"]


async def test_paging_shows_everything_once_while_new_invoices_arrive(api: Api, module_settings: Settings) -> None:
    with connect(module_settings, "builder") as connection:
        for day in range(1, 11):
            insert_draft(connection, "cedar", f"paged-{day}", f"2024-01-{day:02d}")
    seen, cursor = [], None
    while True:
        page = (await api.get("cedar", "/v1/invoices", limit=3, **({"cursor": cursor} if cursor else {}))).json()
        seen += [row["invoice_id"] for row in page["data"]]
        with connect(module_settings, "builder") as connection:
            insert_draft(connection, "cedar", f"late-{len(seen)}", "2024-02-01")
        cursor = page["next_cursor"]
        assert page["has_more"] is (cursor is not None)
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 12


INSERT = """
    insert into billing.invoice (tenant_id, invoice_id, status, customer, subscription, currency,
    period_from, period_to,
        invoice_type, issued_on, subtotal_minor, discount_total_minor, tax_total_minor, total_minor,
        credit_total_minor,
        amount_due_minor)
    values (%s, gen_random_uuid(), 'draft', %s, %s, %s, %s, %s, 'period', %s, 1, 0, 0, 1, 0, 1)
"""


def insert_draft(connection: Any, tenant: str, subscription: str, day: str) -> None:
    connection.execute(INSERT, [tenant, "c", subscription, "JPY", day, day, day])


async def test_dates_are_local_to_the_subscription(api: Api, module_settings: Settings) -> None:
    with connect(module_settings, "builder") as connection:
        connection.execute(
            "insert into billing.customer (tenant_id, customer, timezone) values ('birch', 'akl', %s)",
            ["Pacific/Auckland"],
        )
        instants = ["2024-03-31T11:00Z", "2024-04-30T12:00Z"]
        connection.execute(INSERT, ["birch", "akl", None, "NZD", *instants, "2024-05-02"])
    query = {"customer": "akl", "period_from": "2024-04-01", "period_to": "2024-05-01"}
    answer = await api.get("birch", "/v1/invoices", **query)
    assert [row["total"] for row in answer.json()["data"]] == ["0.01"]


async def test_a_document_is_served_byte_for_byte(api: Api) -> None:
    answer = await api.get("acme", "/v1/invoices/acme-000001")
    assert answer.content == canonical(invoice_document("acme", "acme-000001")).encode()
    assert answer.headers["content-type"] == "application/json"


async def test_a_voided_invoice_says_so_and_nothing_else_changes(api: Api, module_settings: Settings) -> None:
    with connect(module_settings, "builder") as connection:
        connection.execute(
            "insert into billing.invoice_void values ('birch', %s, 'wrong', now())",
            [invoice_id("birch", "2023-10")],
        )
    answer = await api.get("birch", "/v1/invoices/birch-000001")
    assert answer.json() == invoice_document("birch", "birch-000001") | {"status": "voided"}
    assert answer.content.decode() == canonical(answer.json())
    assert numbers(await api.get("birch", "/v1/invoices", status="voided")) == ["birch-000001"]
    assert numbers(await api.get("birch", "/v1/invoices", status="finalised")) == ["birch-000002"]


def test_voiding_touches_the_documents_own_status_alone() -> None:
    document = invoice_document("acme", "acme-000001")
    assert json.loads(document_bytes(canonical(document), is_void=True)) == document | {"status": "voided"}


async def test_an_etag_saves_the_second_transfer(api: Api) -> None:
    for path in ("/v1/invoices", "/v1/invoices/acme-000001", "/v1/customers"):
        tag = (await api.get("acme", path)).headers["etag"]
        for offered in (tag, f"W/{tag}", f'"x", {tag}', "*"):
            answer = await api.get("acme", path, headers={"If-None-Match": offered})
            assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
        assert (await api.get("acme", path, headers={"If-None-Match": '"other"'})).status_code == 200


async def test_an_etag_never_opens_what_the_tenant_may_not_see(api: Api) -> None:
    tag = (await api.get("acme", "/v1/invoices/acme-000001")).headers["etag"]
    for offered in (tag, "*"):
        assert (
            await api.get("birch", "/v1/invoices/acme-000001", headers={"If-None-Match": offered})
        ).status_code == 404


async def test_usage_is_listed_by_day_and_meter(api: Api) -> None:
    path = f"/v1/customers/{quote(CUSTOMER)}/usage"
    rows = (await api.get("acme", path, **{"from": "2023-10-05", "to": "2023-11-05"})).json()["data"]
    assert {(row["aggregation"], row["additive"]) for row in rows} == {("sum", True)}
    assert [(row["day"], row["meter"], row["quantity"], row["events"]) for row in rows] == [
        ("2023-10-05", "tokens", "10000", 1),
        ("2023-10-28", "tokens", "5373.4", 1),
    ]
    assert (await api.get("acme", path, meter="other")).json()["data"] == []
    assert_problem(await api.get("acme", path, **{"from": "yesterday"}), 422, "invalid-request")


async def test_usage_pages_by_cursor(api: Api) -> None:
    path, days, cursor = f"/v1/customers/{quote(CUSTOMER)}/usage", [], None
    while True:
        page = (await api.get("acme", path, limit=1, **({"cursor": cursor} if cursor else {}))).json()
        days += [row["day"] for row in page["data"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert days == ["2023-10-05", "2023-10-28", "2023-11-05", "2023-11-28"]


async def test_rejected_billing_events_are_listed_with_their_reason(api: Api, module_settings: Settings) -> None:
    with connect(module_settings, "builder") as connection:
        connection.execute(
            "insert into billing.rejected_event values "
            "('acme', 'crm', 'e0', 'billing.subscription.ended', 'already_ended', 'it ended', null, '2024-01-01Z')"
        )
    first = (await api.get("acme", "/v1/rejected-events", limit="1")).json()
    assert first["data"] == [
        {
            "source": "crm", "id": "e0", "type": "billing.subscription.ended", "reason": "already_ended",
            "message": "it ended", "time": None, "decided_at": "2024-01-01T00:00:00Z",
        }
    ]  # fmt: skip
    rest = (await api.get("acme", "/v1/rejected-events", cursor=first["next_cursor"])).json()
    assert [(one["source"], one["reason"], one["time"]) for one in rest["data"]] == [
        ("source zz-acme-only", "unknown_plan", "2023-10-05T00:00:00Z")
    ]
    assert rest["has_more"] is False


async def test_a_customer_key_may_be_any_printable_text(api: Api) -> None:
    answer = await api.get("acme", f"/v1/customers/{quote(ODD_CUSTOMER, safe='')}/usage")
    assert answer.json()["data"] == [
        {"day": "2023-10-07", "meter": "tokens", "subscription": None, "dimensions": {"model": "gpt-large"},
         "quantity": "0.000000000000000001", "aggregation": "max", "additive": False, "events": 3}
    ]  # fmt: skip
    assert len((await api.get("acme", "/v1/customers", limit=1)).json()["data"]) == 1


@pytest.mark.parametrize("key", ["nobody", "%00", "%0A", "a%2Fb", "%ED%A0%80", "..%2f", "' or ''='"])
async def test_an_unknown_customer_is_not_found(api: Api, key: str) -> None:
    assert_problem(await api.get("acme", f"/v1/customers/{key}/usage"), 404, "not-found")


async def test_a_parameter_the_document_does_not_know_is_refused(api: Api) -> None:
    assert_problem(await api.get("acme", "/v1/invoices/acme-000001", colour="red"), 422, "invalid-request")


@pytest.mark.parametrize(
    ("path", "name", "values"),
    [
        ("/v1/invoices", "customer", ["a", "b"]),
        ("/v1/invoices/acme-000001", "format", ["xml", "json"]),
        ("/v1/customers", "limit", ["1", "1"]),
        (f"/v1/customers/{quote(ODD_CUSTOMER, safe='')}/usage", "meter", ["a", "b"]),
    ],
)
async def test_a_parameter_that_is_given_twice_is_refused(api: Api, path: str, name: str, values: list[str]) -> None:
    problem = assert_problem(await api.get("acme", path, **{name: values}), 422, "invalid-request")
    assert problem["errors"] == [{"path": f"query.{name}", "message": "given more than once"}]


@given(minor=st.integers(-(10**18), 10**18), currency=st.sampled_from(["USD", "JPY", "BHD"]))
@law(60)
def test_an_amount_as_text_loses_nothing(minor: int, currency: str) -> None:
    text = amount(minor, currency)
    assert "e" not in text.lower()
    assert int(text.replace(".", "")) == minor
    assert len(text.partition(".")[2]) == minor_units(currency)


def test_an_absent_condition_matches_nothing() -> None:
    assert not matches([], '"a"')
    assert not matches([""], '"a"')


async def test_an_invoice_comes_as_pdf_and_says_what_its_xml_lacks(api: Api) -> None:
    pdf = await api.get("acme", "/v1/invoices/acme-000001", format="pdf")
    assert pdf.status_code == 200, pdf.text
    assert (pdf.headers["content-type"], pdf.content[:4]) == ("application/pdf", b"%PDF")
    assert "acme-000001.pdf" in pdf.headers["content-disposition"]
    again = await api.get("acme", "/v1/invoices/acme-000001", {"If-None-Match": pdf.headers["etag"]}, format="pdf")
    assert again.status_code == 304
    problem = assert_problem(await api.get("acme", "/v1/invoices/acme-000001", format="xml"), 422, "not-renderable")
    assert "country" in problem["detail"]
    assert_problem(await api.get("acme", "/v1/invoices/acme-000001", format="docx"), 422, "invalid-request")
    assert_problem(await api.get("birch", "/v1/invoices/acme-000001", format="pdf"), 404, "not-found")


async def test_an_invoice_comes_as_xml_once_both_countries_are_known(api: Api, module_settings: Settings) -> None:
    with connect(module_settings, "builder") as connection:
        connection.execute(
            "insert into billing.tenant (tenant_id, timezone, currency, country) values ('acme', 'UTC', 'USD', 'DE') "
            "on conflict (tenant_id) do update set country = 'DE'"
        )
        connection.execute("update billing.customer set country = 'FR' where tenant_id = 'acme'")
        connection.commit()
    xml = await api.get("acme", "/v1/invoices/acme-000001", format="xml")
    assert (xml.status_code, xml.headers["content-type"]) == (200, "application/xml"), xml.text
    assert b"<cbc:IdentificationCode>FR</cbc:IdentificationCode>" in xml.content
