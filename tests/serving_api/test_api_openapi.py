"""The OpenAPI document and the page made of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

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


async def test_every_reference_leads_somewhere(api: Api) -> None:
    answer = await api.client.get("/openapi.json")
    known = answer.json()["components"]["schemas"]
    assert set(re.findall(r'"#/components/schemas/(\w+)"', answer.text)) <= set(known)


async def test_the_page_needs_nothing_from_elsewhere(api: Api) -> None:
    page = await api.client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "script" not in page.headers["content-security-policy"]
    assert not re.search(r"<script|style=|\son\w+=|https?://", page.text)
    for link in re.findall(r"""(?:href|src)=["'](/[^"']+)""", page.text):
        assert (await api.client.get(link)).status_code == 200, link
    for anchor in re.findall(r'href="#([^"]+)"', page.text):
        assert f'id="{anchor}"' in page.text
    assert "/v1/customers/{key}/usage" in page.text
    assert "urn:valueverse:problem:rate-limited" in page.text


async def test_the_document_is_the_same_each_time(api: Api) -> None:
    first = await api.client.get("/openapi.json")
    assert (await api.client.get("/openapi.json", headers={"If-None-Match": first.headers["etag"]})).status_code == 304
