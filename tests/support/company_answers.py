"""Everything that can be asked about a tenant: tables of lake and warehouse, commands and the API; as text."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import polars as pl
import pyotp
from typer.testing import CliRunner

from serving_api import database
from tests.support import commits
from tests.support.company_files import RUNS, other_catalog, rows_of
from tests.support.company_reads import money, value
from tests.support.ledger import instant
from tests.support.people import PASSWORD, log_in, mails, token_in
from tests.support.serving import bearer, serving
from valueverse.cli import app
from valueverse.platform.access.api_keys import DEFAULT_SCOPES, issue_api_key
from valueverse.platform.lake import Lake, LakeTable
from valueverse.platform.stores.customer_invoices import CustomerInvoices
from valueverse.platform.stores.functions import Functions
from valueverse.platform.warehouse import connect
from valueverse.services import lake_tables
from valueverse.services.audit.sign_log import sign_log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.companies import Measured
    from tests.support.serving import Api
    from valueverse.platform.settings import Settings

FAILED = "failed:"
WITHOUT = (
    "run_id",
    "written",
    "write_order",
    "checked_at",
    "decided_at",
    "created_at",
    "updated_at",
    "released_at",
    "published_at",
)
"""When and by which run a row was written: all that may differ."""


RANDOM = {
    *("api_key.created", "api_key.rotated", "api_key.revoked", "events.received"),
    *("session.opened", "session.refreshed", "session.closed", "session.token_reused"),
    *("api_key.refused", "api_key.used"),
    *("user.log_in_failed", "user.locked_out"),
    *("invitation.created", "invitation.accepted", "invitation.revoked"),
    *("user.created", "user.role_changed", "user.disabled", "user.password_changed", "user.reset_requested"),
    *("user.second_factor_added", "user.second_factor_removed", "user.recovery_code_used", "user.provider_linked"),
    *("identity_provider.set", "identity_provider.removed"),
}
"""Entries of the audit log about something whose name is random."""
SENT = {
    "specversion": "1.0", "id": "sent", "source": "test", "type": "call", "subject": "c1",
    "time": "2024-01-05T00:00:00Z", "data": {},
}  # fmt: skip


def tables(settings: Settings, tenant: str) -> dict[str, list[str]]:
    """Rows of a tenant by table of the lake and of the warehouse."""
    lake, found = Lake(settings.lake_url), {}
    for table in vars(lake_tables).values():
        if isinstance(table, LakeTable):
            rows = lake.scan(table).filter(pl.col("tenant") == tenant).collect()
            found[f"lake.{table.name}"] = sorted(str(row) for row in rows.rows())
    return found | dict(rows_of(settings, tenant, WITHOUT))


def commands(settings: Settings, world: Measured) -> dict[str, list[str]]:
    """What every command that reads or changes a tenant's data prints, by the command's name."""
    found: dict[str, list[str]] = {}
    with patch.dict(os.environ, settings.environment()):
        for name, arguments in _asked(settings, world):
            done = CliRunner().invoke(app, [*name.split(), *arguments])
            failed = f"{FAILED} {arguments} {done.output} {done.exception!r}" if done.exit_code else ""
            found.setdefault(name, []).append(failed or _of(world.tenant, name, done.stdout))
    return found


def _of(tenant: str, name: str, printed: str) -> str:
    """What is of the tenant in an answer about all."""
    if name == "simulate":
        return "\n".join(line for line in printed.splitlines() if json.loads(line)["tenant"] == tenant)
    if name == "tenants list":
        return "\n".join(line for line in printed.splitlines() if json.loads(line)["tenant"] == tenant)
    return printed


def _asked(settings: Settings, world: Measured) -> Iterator[tuple[str, list[str]]]:
    mine = ["--tenant", world.tenant]
    with connect(settings, "builder") as connection:

        def column(query: str) -> list[str]:
            return [str(value) for (value,) in connection.execute(query, [world.tenant]).fetchall()]

        numbers = column("select number from billing.invoice where tenant_id = %s and number is not null order by 1")
        bare = column(
            "select number from billing.invoice i where tenant_id = %s and number is not null and not exists (select "
            "from billing.invoice_line l where l.tenant_id = i.tenant_id and l.invoice_id = i.invoice_id) order by 1"
        )
        running = column(
            "select subscription from billing.subscription where tenant_id = %s and status = 'active' "
            "and started_at < '2024-02-01' order by 1"
        )
        paying = column("select distinct customer from billing.subscription where tenant_id = %s order by 1")
    named = [row["commit"] for row in commits.log(settings, world.tenant)]
    for number in [*numbers[::4], *bare]:
        yield "explain invoice", [number]
        yield "invoices show", [number]
    yield "invoices list", [*mine, "--limit", "10000", "--json"]
    for kind in ("customers", "subscriptions"):
        yield f"{kind} list", [*mine, "--limit", "10000", "--json"]
    for subscription in running[:2]:
        ending = [subscription, *mine, "--on", "2024-02-15", "--until", "2024-04-30"]
        yield "subscriptions end", [*ending, "--preview", "--json"]
    for customer in paying[:2]:
        yield "invoices upcoming", [customer, *mine, "--known-at", "2024-02-20", "--json"]
    received = [row for row in (world.facts[1], *world.usage) if row["received_at"] <= instant(RUNS[-1])]
    for row in received[:3]:
        yield "explain event", ["test", row["id"], *mine]
    yield "ledger export", mine
    yield "ledger check", mine
    yield "rerate plan", [*mine, "--from", "2023-12-31", "--to", "2024-04-30"]
    catalog = ["--catalog", str(other_catalog(settings, world))]
    yield "simulate", [*catalog, "--landing", str(settings.landing), "--to", "2024-03-01"]
    yield "simulate", [*catalog, "--lake", *mine, *(word for at in RUNS for word in ("--run-at", f"{at}T00:00:00Z"))]
    yield "tenants list", ["--json"]
    yield "value log", mine
    yield "value proposals", mine
    yield "value verify", mine
    yield "value diff", [*named, *mine, "--json"]
    for month in ("2024-01", "2024-02"):
        options = [*mine, "--commit", named[0], "--month", month]
        yield "value variance", [*options, "--json"]
        yield "value explain", [*options, "--json"]
    yield "value explain", [*mine, "--run", _realised(settings, world.tenant)[0], "--json"]
    yield "value report", [*mine, "--commit", named[0], "--internal"]


def _realised(settings: Settings, tenant: str) -> list[str]:
    query = "select run_hash from value.run where tenant_id = %s and case_name = 'realised' order by 1"
    with connect(settings, "builder") as connection:
        return [str(run) for (run,) in connection.execute(query, [tenant]).fetchall()]


async def api(settings: Settings, tenant: str) -> tuple[dict[str, str], set[str]]:
    """Every answer of the API to a tenant, by address; and the functions of the schema ``api`` that were called."""
    with connect(settings, "builder") as connection:
        key = issue_api_key(
            connection, tenant, [*DEFAULT_SCOPES, "audit:read", "billing:write", "value:write", "admin"]
        )
        connection.commit()
    sign_log(settings, whole=True)
    called: set[str] = set()
    together = database.Database._found_invoices

    async def found(self: database.Database, function: str, questions: Any) -> Any:
        called.add(function)
        return await together(self, function, questions)

    # A database holds what it asks with from the beginning.
    with patch.object(database.Database, "_found_invoices", found):
        return await _recorded(settings, tenant, key, called), called


async def _recorded(settings: Settings, tenant: str, key: str, called: set[str]) -> dict[str, str]:
    async with serving(settings, {tenant: key}) as running:
        original: Callable[..., Any] = database._rows

        async def rows(connection: Any, function: str, arguments: Any) -> list[Any]:
            called.add(function)
            return list(await original(connection, function, arguments))

        query = Functions.query

        def asked(store: Functions, function: str, arguments: int) -> Any:
            called.add(function)
            return query(store, function, arguments)

        frame = CustomerInvoices._frame

        def framed(store: CustomerInvoices, function: Any, *arguments: Any) -> Any:
            called.add(function)
            return frame(store, function, *arguments)

        patched = patch.object(Functions, "query", asked), patch.object(CustomerInvoices, "_frame", framed)
        with patch.object(database, "_rows", rows), patched[0], patched[1]:
            return {name: text async for name, text in _answers(running, settings, tenant)}


async def _answers(running: Api, settings: Settings, tenant: str) -> Any:
    for path in ("/v1/invoices", "/v1/customers"):
        rows = [row async for row in _pages(running, tenant, path)]
        yield path, json.dumps(rows)
        for row in rows:
            if path == "/v1/customers":
                usage = f"/v1/customers/{row['customer']}/usage"
                for span in ({"from": "2024-01-01", "to": "2024-05-01"}, {"from": "2020-01-01", "to": "2020-02-01"}):
                    pages = [one async for one in _pages(running, tenant, usage, **span)]
                    yield f"{usage} {span}", json.dumps(pages)
                if row["customer"] < "c3":
                    upcoming = f"/v1/customers/{row['customer']}/upcoming-invoice"
                    yield upcoming, (await running.get(tenant, upcoming, known_at="2024-02-20")).text
            elif row["number"]:
                for form in ("json", "xml"):
                    answer = await running.get(tenant, f"/v1/invoices/{row['number']}", format=form)
                    shown = answer.text if answer.status_code == 200 else answer.text.split('"instance"', maxsplit=1)[0]
                    yield f"{row['number']} {form}", f"{answer.status_code} {shown}"
    pdf = await running.get(tenant, f"/v1/invoices/{tenant}-000001", format="pdf")
    assert pdf.status_code == 200, pdf.text
    yield "pdf", pdf.content.hex()
    for filters in ({"type": "used", "from": "2024-01-01"}, {"fate": "quarantined"}):
        rows = [row async for row in _pages(running, tenant, "/v1/events", **filters)]
        assert rows
        yield f"events {filters}", json.dumps(rows)
    rejected = [row async for row in _pages(running, tenant, "/v1/rejected-events")]
    yield "rejected", json.dumps([{**row, "decided_at": ""} for row in rejected])
    for event in (*(f"u{number}" for number in range(12)), "founding", "nosuch"):
        fate = await running.get(tenant, f"/v1/events/test/{event}")
        shown = fate.text.split('"instance"', maxsplit=1)[0]
        yield f"event {event}", f"{fate.status_code} {shown}"
    entries = [row async for row in _pages(running, tenant, "/v1/audit/entries")]
    done = [(row["action"], row["object"], row["digest"]) for row in entries if row["action"] not in RANDOM]
    assert done
    yield "done", json.dumps(sorted(done))
    proof = await running.get(tenant, "/v1/audit/proof/1")
    yield "proven", str(proof.status_code)
    sent = await running.client.post("/v1/events", json=SENT, headers=bearer(running.keys[tenant]))
    yield "sent", json.dumps(sent.json()["results"])
    session = await running.sign_in(tenant)
    writing = bearer(session["access_token"])
    once = {**writing, "Idempotency-Key": "once"}
    made = {"customer": "by the API", "name": "By the API", "on": "2024-05-01"}
    for _ in range(2):
        written = await running.client.post("/v1/customers", json=made, headers=once)
        assert written.status_code == 201, written.text
        shown = {name: value for name, value in written.json().items() if name != "batch"}
        yield f"written {written.headers.get('idempotent-replayed')}", f"{written.status_code} {json.dumps(shown)}"
    keys = "/v1/api-keys"
    asked = bearer(session["access_token"])
    made = (await running.client.post(keys, json={"scopes": ["billing:read"]}, headers=asked)).json()
    rotated = await running.client.post(f"{keys}/{made['prefix']}/rotate", json={}, headers=asked)
    revoked = await running.client.delete(f"{keys}/{made['prefix']}", headers=asked)
    listed = [row["scopes"] async for row in _pages(running, tenant, keys)]
    yield "keys", f"{made['scopes']} {rotated.status_code} {revoked.status_code} {listed}"
    model = "schema: valueverse.value_model/v1\nmodel: stored\ninputs: {hours: {value: 10}}\noutputs: [hours]\n"
    yield "stored", str((await running.client.post("/v1/value-models", content=model, headers=writing)).status_code)
    models = [row async for row in _pages(running, tenant, "/v1/value-models")]
    yield "models", json.dumps([{**row, "written_by": "", "written_at": ""} for row in models])
    for what in ("check", "run"):
        answered = await running.client.post(f"/v1/value-models/stored/{what}", headers=writing)
        yield f"model {what}", answered.text
    async for name, text in money(running, tenant, asked):
        yield name, text
    async for name, text in value(running, _realised(settings, tenant), asked):
        yield name, text
    async for name, text in _portal(running, tenant, asked):
        yield name, text
    async for name, text in _people(running, settings, tenant, asked):
        yield name, text
    yield "nobody", (await running.get(tenant, "/v1/customers/nobody/usage")).text.split('"instance"', maxsplit=1)[0]
    ready = await running.client.get("/readyz")
    yield "ready", f"{ready.status_code} {ready.text}"
    session = await running.sign_in(tenant)
    body = {"refresh_token": session["refresh_token"]}
    for _ in range(2):
        answer = await running.client.post("/v1/sessions/refresh", json=body)
        yield f"refreshed {answer.status_code}", ""
    closed = await running.client.delete("/v1/sessions", headers=bearer(session["access_token"]))
    yield f"closed {closed.status_code}", ""


async def _portal(running: Api, tenant: str, asked: dict[str, str]) -> Any:
    """What a customer sees in the tenant's portal."""
    post, get = running.client.post, running.client.get
    link = (await post("/v1/portal-sessions", json={"customer": "c1"}, headers=asked)).json()
    opened = await post("/v1/portal-sessions/exchange", json={"token": link["token"]})
    mine = bearer(opened.json()["access_token"])
    invoices = (await get("/v1/invoices", params={"limit": 100}, headers=mine)).json()["data"]
    yield "portal", json.dumps(invoices)
    for address in (f"{invoices[0]['number']}?format=xml", f"{invoices[0]['number']}", f"{tenant}-999999"):
        yield f"portal {address}", (await get(f"/v1/invoices/{address}", headers=mine)).text.split('"instance"')[0]
    for customer in ("c1", "c2", "nobody"):
        usage = await get(f"/v1/customers/{customer}/usage", headers=mine)
        yield f"portal usage {customer}", usage.text.split('"instance"', maxsplit=1)[0]


async def _people(running: Api, settings: Settings, tenant: str, asked: dict[str, str]) -> Any:
    """Whom the tenant invites, what such a person may do, and what remains of it."""
    post, get = running.client.post, running.client.get
    for email in ("stays@example.com", "revoked@example.com"):
        made = (await post("/v1/invitations", json={"email": email, "role": "viewer"}, headers=asked)).json()
        yield f"invited {email}", f"{made['role']} {made['state']}"
    await running.client.delete(f"/v1/invitations/{made['id']}", headers=asked)
    accepted = {"token": token_in((await mails(settings, "stays@example.com"))[-1]), "password": PASSWORD}
    yield "accepted", str((await post("/v1/invitations/accept", json=accepted)).status_code)
    session = (await log_in(running, "stays@example.com", tenant=tenant)).json()
    mine = bearer(session["access_token"])
    yield "person", (await get("/v1/invoices", headers=mine)).text
    user = (await get("/v1/me", headers=mine)).json()["id"]
    await running.app.state.service.database.call("rehash_password", tenant, user, "another", "none")
    async for name, text in _factors(running, settings, tenant, mine):
        yield name, text
    mine = bearer((await log_in(running, "stays@example.com", tenant=tenant)).json()["access_token"])
    change = {"json": {"role": "analyst"}, "headers": asked | {"If-Match": "*"}}
    yield "changed", (await running.client.patch(f"/v1/users/{user}", **change)).json()["role"]
    await post(f"/v1/users/{user}/disable", headers=asked)
    for path in ("/v1/users", "/v1/invitations"):
        rows = (await get(path, headers=asked)).json()["data"]
        yield path, str([(row["email"], row["role"], row.get("state")) for row in rows])


async def _factors(running: Api, settings: Settings, tenant: str, mine: dict[str, str]) -> Any:
    """A second factor, another password, and a forgotten one."""
    auth, address = "/v1/auth", "stays@example.com"

    async def did(name: str, **body: str) -> Any:
        return await running.client.post(f"{auth}/{name}", json=body, headers=mine)

    begun = (await did("second-factor", password=PASSWORD)).json()
    now = datetime.now(UTC)
    confirmed = await did("second-factor/confirm", code=pyotp.TOTP(begun["secret"]).at(now))
    codes = confirmed.json()["recovery_codes"]
    later = pyotp.TOTP(begun["secret"]).at(now + timedelta(seconds=30))
    for code in (None, later, codes[0]):
        answer = await log_in(running, address, tenant=tenant, **({"code": code} if code else {}))
        yield f"with a code {code is None}", str(answer.status_code)
    yield "removed", str((await did("second-factor/remove", password=PASSWORD, code=codes[1])).status_code)
    yield "password", str((await did("password", current=PASSWORD, password=f"{PASSWORD} 7")).status_code)
    yield "forgotten", str((await did("reset", tenant=tenant, email=address)).status_code)
    await running.app.state.service.later.finish()
    token = token_in((await mails(settings, address))[-1])
    yield "chosen", str((await did("reset/confirm", token=token, password=PASSWORD)).status_code)


async def _pages(running: Api, tenant: str, path: str, **query: Any) -> Any:
    """Rows of a listing, three to a page."""
    cursor: dict[str, str] = {}
    while True:
        answer = await running.get(tenant, path, limit=3, **query, **cursor)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        for row in page["data"]:
            yield row
        if not page["has_more"]:
            return
        cursor = {"cursor": page["next_cursor"]}
