"""The audit log over HTTP: whoever holds an answer can check it without us."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import rfc8785
from cryptography.hazmat.primitives import serialization

from tests.support.audit_tree import tree_over
from tests.support.landing import event
from tests.support.serving import Api, assert_problem, bearer
from valueverse.audit import (
    inclusion_proof,
    leaf_hash,
    read_checkpoint,
    root_hash,
    verify_consistency,
    verify_inclusion,
)
from valueverse.platform.access.api_keys import issue_api_key
from valueverse.platform.warehouse import connect
from valueverse.services.audit.sign_log import sign_log

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.integration]


def _key(pem: str) -> Any:
    return serialization.load_pem_public_key(pem.encode())


async def _get(api: Api, path: str, **query: Any) -> dict[str, Any]:
    answer = await api.get("acme", path, **query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def _entries(api: Api, **query: Any) -> list[dict[str, Any]]:
    found, cursor = [], None
    while True:
        page = await _get(api, "/v1/audit/entries", limit="2", **query, **({"cursor": cursor} if cursor else {}))
        found += page["data"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


async def test_what_no_entry_can_be_about_is_refused(api: Api) -> None:
    header = bearer(api.token("acme", "audit:read"))
    for text in ("\0", "", "x" * 301):
        answer = await api.client.get("/v1/audit/entries", params={"object": text}, headers=header)
        problem = assert_problem(answer, 422, "invalid-request")
        assert problem["errors"][0]["path"] == "query.object"


async def test_every_entry_is_proven_against_the_signed_checkpoint(api: Api) -> None:
    signed = await _get(api, "/v1/audit/checkpoint")
    checkpoint = read_checkpoint(signed["note"], _key(signed["public_key"]), "valueverse/audit/acme")
    assert (checkpoint.size, checkpoint.root.hex()) == (signed["size"], signed["root"])
    entries = await _entries(api)
    assert len(entries) >= checkpoint.size
    for entry in entries[: checkpoint.size]:
        proof = await _get(api, f"/v1/audit/proof/{entry['sequence']}")
        steps = [bytes.fromhex(one) for one in proof["proof"]]
        leaf = leaf_hash(entry["entry"].encode())
        assert verify_inclusion(checkpoint.root, checkpoint.size, entry["sequence"] - 1, leaf, steps)
        assert rfc8785.dumps(json.loads(entry["entry"])) == entry["entry"].encode()


async def test_a_grown_log_is_proven_to_continue_what_was_signed(api: Api, module_settings: Settings) -> None:
    before = await _get(api, "/v1/audit/checkpoint")
    with connect(module_settings, "builder") as connection:
        issue_api_key(connection, "acme", name="another")
    sign_log(module_settings, whole=False)
    after = await _get(api, "/v1/audit/checkpoint")
    assert after["size"] > before["size"]
    found = await _get(api, "/v1/audit/consistency", **{"from": str(before["size"])})
    assert verify_consistency(
        bytes.fromhex(before["root"]), before["size"], bytes.fromhex(after["root"]), after["size"],
        [bytes.fromhex(one) for one in found["proof"]],
    )  # fmt: skip


async def test_a_receipt_proves_what_was_sent_and_is_an_entry_of_the_log(api: Api, module_settings: Settings) -> None:
    texts = [json.dumps(event(f"proven-{number}", {"n": number})) for number in range(5)]
    answer = await api.client.post(
        "/v1/events",
        content="\n".join(texts),
        headers={**bearer(api.keys["acme"]), "content-type": "application/x-ndjson"},
    )
    receipt = answer.json()
    leaves = [leaf_hash(text.encode()) for text in texts]
    assert [one["leaf"] for one in receipt["results"]] == [leaf.hex() for leaf in leaves]
    signed = await _get(api, "/v1/audit/checkpoint")
    origin = f"valueverse/events/acme/{receipt['batch']}"
    tree = read_checkpoint(receipt["receipt"], _key(signed["public_key"]), origin)
    assert (tree.size, tree.root) == (5, root_hash(leaves))
    assert receipt["root"] == tree.root.hex()
    assert verify_inclusion(tree.root, 5, 3, leaves[3], inclusion_proof(3, 5, tree_over(leaves)))
    assert not verify_inclusion(tree.root, 5, 3, leaf_hash(b"never sent"), inclusion_proof(3, 5, tree_over(leaves)))
    sign_log(module_settings, whole=False)
    [entry] = await _entries(api, object=receipt["batch"])
    assert (entry["action"], entry["digest"]) == ("events.received", receipt["root"])
    assert entry["actor"] == api.keys["acme"].split("_")[1]
    assert entry["request"] == answer.headers["x-request-id"]


async def test_a_sign_in_is_an_entry_with_the_key_that_did_it(api: Api, module_settings: Settings) -> None:
    signed_in = await api.client.post("/v1/sessions", headers=bearer(api.keys["acme"]))
    of_stripe = await api.client.post("/v2/billing/meter_event_session", headers=bearer(api.keys["acme"]))
    sign_log(module_settings, whole=False)
    opened = [one for one in await _entries(api) if one["action"] == "session.opened"]
    assert {one["actor"] for one in opened[-2:]} == {api.keys["acme"].split("_")[1]}
    assert [one["request"] for one in opened[-2:]] == [one.headers["x-request-id"] for one in (signed_in, of_stripe)]


@pytest.mark.parametrize(
    ("path", "query", "status", "name"),
    [
        ("/v1/audit/proof/100000", {}, 404, "not-found"),
        ("/v1/audit/proof/1", {"size": "100000"}, 404, "not-found"),
        ("/v1/audit/proof/1", {"size": "999999999"}, 404, "not-found"),
        ("/v1/audit/proof/1", {"size": str(2**62)}, 422, "invalid-request"),
        ("/v1/audit/consistency", {"from": "1", "to": str(2**62)}, 422, "invalid-request"),
        ("/v1/audit/proof/2", {"size": "1"}, 404, "not-found"),
        ("/v1/audit/proof/0", {}, 422, "invalid-request"),
        ("/v1/audit/proof/x", {}, 422, "invalid-request"),
        ("/v1/audit/consistency", {}, 422, "invalid-request"),
        ("/v1/audit/consistency", {"from": "0"}, 422, "invalid-request"),
        ("/v1/audit/consistency", {"from": "2", "to": "1"}, 422, "invalid-request"),
        ("/v1/audit/consistency", {"from": "1", "to": "100000"}, 404, "not-found"),
        ("/v1/audit/checkpoint", {"size": "1"}, 422, "invalid-request"),
        ("/v1/audit/entries", {"cursor": "x"}, 400, "invalid-cursor"),
        ("/v1/audit/entries", {"action": "x"}, 422, "invalid-request"),
    ],
)
async def test_what_is_not_there_or_not_asked_rightly_is_a_problem(
    api: Api, path: str, query: dict[str, str], status: int, name: str
) -> None:
    assert_problem(await api.get("acme", path, **query), status, name)


async def test_a_key_without_the_scope_reads_nothing_of_the_log(api: Api, module_settings: Settings) -> None:
    with connect(module_settings, "builder") as connection:
        key = issue_api_key(connection, "acme", ["billing:read"])
    session = (await api.client.post("/v1/sessions", headers=bearer(key))).json()
    for path in ("entries", "checkpoint", "proof/1", "consistency?from=1"):
        answer = await api.client.get(f"/v1/audit/{path}", headers=bearer(session["access_token"]))
        assert_problem(answer, 403, "insufficient-scope")


async def test_a_tenant_without_a_signed_log_gets_a_problem(api: Api, module_settings: Settings) -> None:
    (module_settings.audit_dir / "acme.checkpoints").rename(module_settings.audit_dir / "acme.away")
    try:
        assert_problem(await api.get("acme", "/v1/audit/checkpoint"), 404, "not-found")
        assert_problem(await api.get("acme", "/v1/audit/proof/1"), 404, "not-found")
    finally:
        (module_settings.audit_dir / "acme.away").rename(module_settings.audit_dir / "acme.checkpoints")


async def test_no_proof_is_made_from_a_tree_that_lacks_nodes(api: Api, module_settings: Settings) -> None:
    with connect(module_settings, "builder") as connection:
        connection.execute("delete from audit.node where tenant_id = 'acme' and level > 1")
    try:
        for path in ("/v1/audit/proof/1", "/v1/audit/consistency?from=1"):
            assert_problem(await api.get("acme", path), 500, "internal-error")
        assert "lacks nodes of its tree" in api.log.getvalue().decode()
        assert (await api.get("birch", "/v1/audit/proof/1")).status_code == 200
    finally:
        with connect(module_settings, "builder") as connection:
            connection.execute("delete from audit.node where tenant_id = 'acme'")
            connection.execute("select audit.add_nodes('{acme}', '{0}')")
    assert (await api.get("acme", "/v1/audit/proof/1")).status_code == 200
