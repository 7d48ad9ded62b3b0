"""The tenant's audit log: entries, signed checkpoints, and proofs against them."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from serving_api.problems import Problem
from serving_api.responses import page, refuse_parameters, refuse_repeated, respond
from serving_api.schemas import (
    AuditCheckpoint,
    AuditConsistency,
    AuditEntryPage,
    AuditEntryQuery,
    AuditProof,
    ConsistencyQuery,
    ProofQuery,
)
from serving_api.security.authentication import requires
from serving_api.security.tokens import Identity
from serving_api.service import Service, service_of
from valueverse.audit import (
    consistency_nodes,
    consistency_proof,
    inclusion_nodes,
    inclusion_proof,
    root_from,
    root_nodes,
)
from valueverse.errors import RefusalError
from valueverse.services.audit.checkpoints import newest_checkpoint, public_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from valueverse.audit import Node
    from valueverse.services.audit.checkpoints import SignedCheckpoint

router = APIRouter(prefix="/v1/audit", tags=["audit"])
_Reader = Annotated[Identity, Depends(requires("audit:read"))]
_LARGEST = 2**62


@router.get("/entries", response_model=AuditEntryPage, summary="List entries of the audit log")
async def list_entries(request: Request, query: Annotated[AuditEntryQuery, Query()], identity: _Reader) -> Response:
    """What was done, oldest first. `entry` is the canonical text that the log hashes; the fields are read from it."""
    refuse_repeated(request)
    service = service_of(request)
    scope = ("audit_entries", identity.tenant, query.object)
    (after,) = service.cursors.read(scope, query.cursor, 1)
    found = await service.database.call("audit_entries", identity.tenant, after, query.object, query.limit + 1)
    cursor = service.cursors.make(scope, [found[query.limit - 1]["sequence"]]) if len(found) > query.limit else None
    return respond(request, page([_entry(row) for row in found], query.limit, cursor))


@router.get("/checkpoint", response_model=AuditCheckpoint, summary="The newest signed checkpoint")
async def checkpoint(request: Request, identity: _Reader) -> Response:
    """Size and root of the log, signed (C2SP signed note, Ed25519). Keep it: it shows later what was changed."""
    refuse_parameters(request)
    signed = await _newest(service_of(request), identity.tenant)
    return respond(
        request,
        orjson.dumps(
            {
                "size": signed.checkpoint.size,
                "root": signed.checkpoint.root.hex(),
                "note": signed.note,
                "public_key": public_key(service_of(request).settings),
            }
        ),
    )


@router.get("/proof/{sequence}", response_model=AuditProof, summary="Prove that an entry is in the log")
async def prove(
    request: Request,
    sequence: Annotated[int, Path(ge=1, le=_LARGEST, description="Place of the entry, from 1.", examples=[1])],
    query: Annotated[ProofQuery, Query()],
    identity: _Reader,
) -> Response:
    """Hashes from the entry's leaf to the root of the first `size` entries (RFC 9162, section 2.1.3), lowest first."""
    refuse_repeated(request)
    service = service_of(request)
    size = query.size or (await _newest(service, identity.tenant)).checkpoint.size
    if sequence > size:
        raise Problem("not-found", f"No entry {sequence} is among the first {size}; it may not be signed yet.")
    place, leaf = sequence - 1, (0, sequence - 1)
    nodes = await _nodes(service, identity.tenant, size, [leaf, *inclusion_nodes(place, size)])
    (row,) = await service.database.call("audit_entries", identity.tenant, place, None, 1)
    return respond(
        request,
        orjson.dumps(
            {
                "sequence": sequence,
                "size": size,
                "entry": row["entry"],
                "leaf": nodes[leaf].hex(),
                "root": root_from(size, nodes).hex(),
                "proof": [one.hex() for one in inclusion_proof(place, size, nodes)],
            }
        ),
    )


@router.get("/consistency", response_model=AuditConsistency, summary="Prove that the log continues its past")
async def prove_consistency(
    request: Request, query: Annotated[ConsistencyQuery, Query()], identity: _Reader
) -> Response:
    """Hashes that show that the first `to` entries begin with the first `from` (RFC 9162, section 2.1.4)."""
    refuse_repeated(request)
    service = service_of(request)
    later = query.to or (await _newest(service, identity.tenant)).checkpoint.size
    if query.from_ > later:
        place = {"path": "query.from", "message": f"not beyond `to`, which is {later}"}
        raise Problem("invalid-request", "One or more values are not acceptable.", errors=[place])
    needed = [*root_nodes(query.from_), *consistency_nodes(query.from_, later)]
    nodes = await _nodes(service, identity.tenant, later, needed)
    return respond(
        request,
        orjson.dumps(
            {
                "from": query.from_,
                "to": later,
                "from_root": root_from(query.from_, nodes).hex(),
                "to_root": root_from(later, nodes).hex(),
                "proof": [one.hex() for one in consistency_proof(query.from_, later, nodes)],
            }
        ),
    )


async def _newest(service: Service, tenant: str) -> SignedCheckpoint:
    found = await asyncio.to_thread(newest_checkpoint, service.settings, tenant)
    if found is None:
        raise Problem("not-found", "No checkpoint of the log is signed yet; the platform signs every few minutes.")
    return found


async def _nodes(service: Service, tenant: str, size: int, needed: Iterable[Node]) -> dict[Node, bytes]:
    """These nodes of the tenant's tree, and those that the root of its first ``size`` entries is hashed from.

    Raises:
        Problem: ``not-found``: the log is shorter.
        RefusalError: ``audit_tree_damaged``: a node is missing.
    """
    last = (0, size - 1)
    asked = sorted({last, *needed, *root_nodes(size)})
    levels, places = [level for level, _ in asked], [place for _, place in asked]
    rows = await service.database.call("audit_nodes", tenant, levels, places)
    nodes = {(row["level"], row["place"]): bytes(row["hash"]) for row in rows if row["hash"] is not None}
    if last not in nodes:
        raise Problem("not-found", f"The log has no {size} entries.")
    if len(nodes) < len(asked):
        message = (
            f"the audit log of {tenant!r} lacks nodes of its tree: run `valueverse audit verify --tenant {tenant}`"
        )
        raise RefusalError("audit_tree_damaged", message)
    return nodes


def _entry(row: Mapping[str, Any]) -> dict[str, Any]:
    fields = json.loads(row["entry"])
    named = {name: fields[name] for name in ("at", "action", "actor", "object", "digest", "request")}
    chain = bytes(row["chain_hash"]).hex()
    return {"sequence": row["sequence"], **named, "chain_hash": chain, "entry": row["entry"]}
