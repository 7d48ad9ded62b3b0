"""What the API answers a tenant about money, commits, runs and fees, for comparison with another installation."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.serving import Api

_KNOWN_AT = "2024-02-20"
_LISTS = (
    *("/v1/plans", "/v1/unbilled-usage", "/v1/payments", "/v1/credit-notes", "/v1/one-offs", "/v1/wallets"),
    *("/v1/subscriptions", "/v1/commits", "/v1/fee-proposals"),
)


async def money(running: Api, tenant: str, headers: dict[str, str]) -> AsyncIterator[tuple[str, str]]:
    """Lists, each as known at an instant where money is in it; and lines of invoices, explained."""
    for path in _LISTS:
        known = {} if path in {"/v1/commits", "/v1/fee-proposals"} else {"known_at": _KNOWN_AT}
        yield path, await _asked(running, path, headers, **known)
    yield "/v1/customers/c1", await _asked(running, "/v1/customers/c1", headers)
    invoices = (await running.get(tenant, "/v1/invoices", limit=100)).json()["data"]
    for number in sorted(row["number"] for row in invoices if row["number"])[::6]:
        document = json.loads(await _asked(running, f"/v1/invoices/{number}", headers))
        for key in sorted({line["key"] for line in document["lines"]}):
            path = f"/v1/invoices/{number}/lines/{key}/explain"
            yield path, await _asked(running, path, headers)


async def value(running: Api, runs: list[str], headers: dict[str, str]) -> AsyncIterator[tuple[str, str]]:
    """Each commit with what it changes and what it has realised; each run, explained."""
    commits = json.loads(await _asked(running, "/v1/commits", headers))["data"]
    for row in commits:
        for what in ("", "/diff", "/verify", "/realisation"):
            path = f"/v1/commits/{row['commit']}{what}"
            yield path, await _asked(running, path, headers)
    for run in runs:
        for what in ("", "/explain"):
            yield f"/v1/runs/{run}{what}", await _asked(running, f"/v1/runs/{run}{what}", headers)


async def _asked(running: Api, path: str, headers: dict[str, str], **query: Any) -> str:
    answer = await running.client.get(path, params=query, headers=headers)
    assert answer.status_code in {200, 404, 409, 422}, (path, answer.text)
    return answer.text.split('"instance"', maxsplit=1)[0]
