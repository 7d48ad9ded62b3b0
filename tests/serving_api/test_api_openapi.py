"""The OpenAPI document and the page made of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from serving_api.problems import KINDS
from tests.support.serving import assert_problem, bearer

if TYPE_CHECKING:
    from tests.support.serving import Api

pytestmark = [pytest.mark.anyio, pytest.mark.integration]


async def test_every_operation_is_described_with_its_problems(api: Api) -> None:
    document = (await api.client.get("/openapi.json")).json()
    for path, item in document["paths"].items():
        for method, operation in item.items():
            place = f"{method} {path}"
            assert operation["summary"], place
            assert operation["description"], place
            assert {"400", "405", "413", "500"} <= set(operation["responses"]), place
            for status, answer in operation["responses"].items():
                if int(status) >= 400 and path != "/readyz":
                    (body,) = answer["content"].items()
                    assert body[0] == "application/problem+json", place
                    assert body[1]["example"]["status"] == int(status)
    assert "HTTPValidationError" not in document["components"]["schemas"]
    assert document["paths"]["/v1/invoices/{number}"]["get"]["responses"]["200"]["content"]["application/json"][
        "example"
    ]


async def test_every_body_is_of_a_listed_media_type_in_utf_8_or_is_refused(api: Api) -> None:
    """The routes are those of the document: a new one is judged without being named here."""
    document, judged = (await api.client.get("/openapi.json")).json(), 0
    headers = bearer(api.token("acme", "admin")) | {"idempotency-key": "media", "if-match": "*"}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if "requestBody" not in operation:
                continue
            place, address = f"{method} {path}", re.sub(r"\{\w+\}", "x", path)
            listed = list(operation["requestBody"]["content"])
            assert "415" in operation["responses"], place
            for stated in ("text/plain", "application/x-www-form-urlencoded", f"{listed[0]}; charset=latin-1", "json"):
                answer = await api.client.request(
                    method, address, content=b"{}", headers=headers | {"content-type": stated}
                )
                assert_problem(answer, 415, "unsupported-media-type")
                if method == "post":
                    assert answer.headers["accept-post"] == ", ".join(listed), place
            for stated in (*listed, listed[0].upper() + '; charset="UTF-8"', None):
                kind = {"content-type": stated} if stated else {}
                answer = await api.client.request(method, address, content=b"{", headers=headers | kind)
                assert answer.status_code < 500, (place, stated)
                assert answer.status_code != 415, (place, stated)
            judged += 1
    assert judged > 40


async def test_every_reference_leads_somewhere(api: Api) -> None:
    answer = await api.client.get("/openapi.json")
    known = answer.json()["components"]["schemas"]
    assert set(re.findall(r'"#/components/schemas/(\w+)"', answer.text)) <= set(known)


async def test_the_page_needs_nothing_from_elsewhere(api: Api) -> None:
    page = await api.client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert set(re.findall(r"https?:\S*|\*", policy)) == set()
    assert not re.search(r"<script(?! src)|style=|\son\w+=|https?://", page.text)
    links = re.findall(r"""(?:href|src)=["'](/[^"']+)""", page.text)
    assert {"/docs/page.js", "/docs/swagger-ui-bundle.js", "/openapi.json"} <= set(links)
    for link in links:
        answer = await api.client.get(link)
        assert answer.status_code == 200, link
        again = await api.client.get(link, headers={"If-None-Match": answer.headers["etag"]})
        assert again.status_code == 304, link
    assert (await api.client.get("/docs/../app.py")).status_code == 404
    assert (await api.client.get("/docs/index.html")).status_code == 404


async def test_the_document_lists_every_problem_with_its_cure(api: Api) -> None:
    described = (await api.client.get("/openapi.json")).json()["components"]["schemas"]["Problem"]["description"]
    for name, kind in KINDS.items():
        assert f"| `urn:valueverse:problem:{name}` | {kind.status} | {kind.title} | {kind.cure} |" in described


async def test_the_document_is_the_same_each_time(api: Api) -> None:
    first = await api.client.get("/openapi.json")
    assert (await api.client.get("/openapi.json", headers={"If-None-Match": first.headers["etag"]})).status_code == 304
