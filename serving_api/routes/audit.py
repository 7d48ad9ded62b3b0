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
from valueverse.audit import consistency_proof, inclusion_proof, root_hash
from valueverse.services.audit.checkpoints import newest_checkpoint, public_key

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    leaves = await _leaves(service, identity.tenant, size)
    if sequence > size:
        raise Problem("not-found", f"No entry {sequence} is among the first {size}; it may not be signed yet.")
    proof = await asyncio.to_thread(inclusion_proof, leaves, sequence - 1, size)
    (row,) = await service.database.call("audit_entries", identity.tenant, sequence - 1, None, 1)
    return respond(
        request,
        orjson.dumps(
            {
                "sequence": sequence,
                "size": size,
                "entry": row["entry"],
                "leaf": leaves[sequence - 1].hex(),
                "root": root_hash(leaves).hex(),
                "proof": [one.hex() for one in proof],
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
    leaves = await _leaves(service, identity.tenant, later)
    proof = await asyncio.to_thread(consistency_proof, leaves, query.from_, later)
    return respond(
        request,
        orjson.dumps(
            {
                "from": query.from_,
                "to": later,
                "from_root": root_hash(leaves[: query.from_]).hex(),
                "to_root": root_hash(leaves).hex(),
                "proof": [one.hex() for one in proof],
            }
        ),
    )


async def _newest(service: Service, tenant: str) -> SignedCheckpoint:
    found = await asyncio.to_thread(newest_checkpoint, service.settings, tenant)
    if found is None:
        raise Problem("not-found", "No checkpoint of the log is signed yet; the platform signs every few minutes.")
    return found


async def _leaves(service: Service, tenant: str, size: int) -> list[bytes]:
    """Leaf hashes of the first ``size`` entries.

    Raises:
        Problem: ``not-found``: the log is shorter, or has a gap.
    """
    rows = await service.database.call("audit_leaves", tenant, size)
    # Counted first: whoever asks for 2^62 entries must not make us write out their numbers.
    if len(rows) != size or [row["sequence"] for row in rows] != list(range(1, size + 1)):
        raise Problem("not-found", f"The log has no {size} entries.")
    return [bytes(row["leaf_hash"]) for row in rows]


def _entry(row: Mapping[str, Any]) -> dict[str, Any]:
    fields = json.loads(row["entry"])
    named = {name: fields[name] for name in ("at", "action", "actor", "object", "digest", "request")}
    chain = bytes(row["chain_hash"]).hex()
    return {"sequence": row["sequence"], **named, "chain_hash": chain, "entry": row["entry"]}
