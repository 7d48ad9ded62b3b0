"""Value committer: models are frozen, approved by both sides, closed, compared and verified."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Body, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from serving_api.idempotency import PARAMETER
from serving_api.problems import Problem
from serving_api.responses import page, refuse_parameters, refuse_repeated, respond
from serving_api.routes.value.models import found_model, metrics_given
from serving_api.routes.value.schemas import (
    ApprovalRequest,
    ClosingRequest,
    Commit,
    CommitDiff,
    CommitMade,
    CommitPage,
    CommitRequest,
    DiffQuery,
    ModelListQuery,
    Verification,
    VerifyQuery,
    WholeCommit,
)
from serving_api.routes.value.work import line_of, read, write
from serving_api.security.authentication import requires
from serving_api.security.tokens import Identity
from serving_api.service import service_of
from valueverse.errors import RefusalError
from valueverse.services.value import compare_models
from valueverse.services.value.commits.approve_commit import approve
from valueverse.services.value.commits.commit_model import commit, log, whole
from valueverse.services.value.commits.fee_proposals import close
from valueverse.services.value.commits.verify_commits import verify

if TYPE_CHECKING:
    from valueverse.platform.stores.tenant_records import TenantRecords

router = APIRouter(prefix="/v1", tags=["committer"])
Reader = Annotated[Identity, Depends(requires("billing:read"))]
Writer = Annotated[Identity, Depends(requires("value:write"))]
Approver = Annotated[Identity, Depends(requires("value:approve"))]
Id = Annotated[str, Path(alias="id", description="Id of the commit.", examples=["7d90" + "b4" * 30])]
REPEATABLE: dict[str, Any] = {"parameters": [PARAMETER]}
_AS_IT_IS = CommitRequest()


@router.post(
    "/value-models/{key}/commits",
    response_model=CommitMade,
    status_code=201,
    summary="Commit a value model",
    responses={200: {"model": CommitMade, "description": "The same content was committed before."}},
    openapi_extra=REPEATABLE,
)
async def commit_model(
    request: Request,
    key: Annotated[str, Path(description="Key of the model.", examples=["support_deflection"])],
    identity: Writer,
    given: Annotated[CommitRequest, Body()] = _AS_IT_IS,
) -> Response:
    """Freeze the stored text with its baseline under the hash of its content, for both sides to approve. A change of a
    commit names it as `parent`, with a `reason`, and takes over from it once it is active."""
    refuse_parameters(request)
    stored = await found_model(request, identity, key, given.version)
    options = given.model_dump(include={"scenario", "seed", "customer", "start", "parent", "reason"})
    options["author"] = identity.key_prefix

    def made(records: TenantRecords) -> dict[str, Any]:
        return commit(records, stored["text"], options, metrics_given(given.data, given.customer))

    return await write(request, identity, made, lambda found: 201 if found["new"] else 200)


@router.get("/commits", response_model=CommitPage, summary="List commits")
async def list_commits(request: Request, query: Annotated[ModelListQuery, Query()], identity: Reader) -> Response:
    """Commits with their states, the oldest first."""
    refuse_repeated(request)
    cursors, scope = service_of(request).cursors, ("commits", identity.tenant)
    (after,) = cursors.read(scope, query.cursor, 1)
    rows = (await read(request, identity, log))[after or 0 :]
    more = len(rows) > query.limit
    cursor = cursors.make(scope, [(after or 0) + query.limit]) if more else None
    return respond(request, page(rows, query.limit, cursor))


@router.get("/commits/{id}", response_model=WholeCommit, summary="A commit")
async def get_commit(request: Request, commit_id: Id, identity: Reader) -> Response:
    """Its state, what was done to it, and the document that was agreed on. As in every read of a commit, eight digits
    of the id or more are enough while they name one alone."""
    refuse_parameters(request)
    return respond(request, line_of(await read(request, identity, partial(whole, commit=commit_id))))


@router.post(
    "/commits/{id}/approvals",
    response_model=Commit,
    status_code=201,
    summary="Approve a commit",
    openapi_extra=REPEATABLE,
)
async def approve_commit(request: Request, commit_id: Id, given: ApprovalRequest, identity: Approver) -> Response:
    """Say yes for a side; with both sides' the commit is active, and takes over from what it changes."""
    refuse_parameters(request)
    return await write(
        request, identity, partial(approve, commit=whole_id(commit_id), side=given.side, by=identity.key_prefix)
    )


@router.post(
    "/commits/{id}/closings",
    response_model=Commit,
    status_code=201,
    summary="Close a commit",
    openapi_extra=REPEATABLE,
)
async def close_commit(request: Request, commit_id: Id, given: ClosingRequest, identity: Approver) -> Response:
    """End an active commit: its value is confirmed or written off, and measured no longer."""
    refuse_parameters(request)
    by = identity.key_prefix
    ended = partial(close, commit=whole_id(commit_id), outcome=given.outcome, by=by, reason=given.reason)
    return await write(request, identity, ended)


@router.get("/commits/{id}/diff", response_model=CommitDiff, summary="What a commit changes")
async def diff(request: Request, commit_id: Id, query: Annotated[DiffQuery, Query()], identity: Reader) -> Response:
    """Compare with the commit that it changes, or another one: in structure, and in the money agreed over the term."""
    refuse_repeated(request)

    def compared(records: TenantRecords) -> dict[str, Any]:
        before = query.before or whole(records, commit_id)["parent"]
        if before is None:
            raise RefusalError("missing_before", "the commit changes none: name one to compare it with", "--before")
        return compare_models.commits(records, before, commit_id).as_json()

    return respond(request, line_of(await read(request, identity, compared)))


@router.get("/commits/{id}/verify", response_model=Verification, summary="Verify commits")
async def verify_chains(
    request: Request,
    commit_id: Id,
    query: Annotated[VerifyQuery, Query()],
    identity: Reader,
) -> Response:
    """Work out again the hash chain that the commit is in, and that of all that was done to the tenant's commits."""
    refuse_repeated(request)

    def verified(records: TenantRecords) -> dict[str, Any]:
        whole(records, commit_id)
        return verify(records, query.head)

    return respond(request, line_of(await read(request, identity, verified)))


def whole_id(given: str) -> str:
    """An id as the path of a write has it: in full, since an approval is of what was read.

    Raises:
        Problem: ``not-found``.
    """
    if len(given) != _DIGITS:
        raise Problem("not-found", "No commit of yours has this id.")
    return given


_DIGITS = 64
