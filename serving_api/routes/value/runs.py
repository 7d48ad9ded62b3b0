"""Value executor: commits are run on what is measured, runs explained, and fee proposals accepted or disputed."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Body, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from serving_api.problems import Problem
from serving_api.responses import page, refuse_parameters, refuse_repeated, respond
from serving_api.routes.value.commits import REPEATABLE, Approver, Id, Reader, Writer, whole_id
from serving_api.routes.value.run_schemas import (
    CommitRun,
    CommitRunRequest,
    DisputeRequest,
    ExplainQuery,
    Explanation,
    FeeProposal,
    FeeProposalPage,
    Realisation,
    RealisationQuery,
    Run,
)
from serving_api.routes.value.schemas import ModelListQuery
from serving_api.routes.value.work import line_of, read, write
from serving_api.schemas import is_plain
from serving_api.service import service_of
from valueverse.services.instants import read_month
from valueverse.services.value.commits.fee_proposals import answer, listed, proposed
from valueverse.services.value.explain_value import Question, RunRef, explain_commit
from valueverse.services.value.run_commit import run_commit
from valueverse.services.value.stored_runs import whole_run
from valueverse.services.value.value_variance import difference

if TYPE_CHECKING:
    from valueverse.platform.stores.tenant_records import TenantRecords

router = APIRouter(prefix="/v1", tags=["executor"])
_Hash = Annotated[str, Path(alias="id", description="Hash of the run.", examples=["52ce" + "a1" * 30])]
_Proposal = Annotated[
    str,
    Path(
        alias="id",
        min_length=1,
        description="Name of the proposal, percent-encoded.",
        examples=["chat-main/value/2024-01..2024-01/1"],
    ),
]
_AS_IT_IS = CommitRunRequest()


@router.post(
    "/commits/{id}/runs",
    response_model=CommitRun,
    status_code=201,
    summary="Run a commit",
    responses={200: {"model": CommitRun, "description": "What is known has given the same runs before."}},
    openapi_extra=REPEATABLE,
)
async def run(
    request: Request, commit_id: Id, identity: Writer, given: Annotated[CommitRunRequest, Body()] = _AS_IT_IS
) -> Response:
    """Run an active commit for all measured months of its term: committed, forecast and realised. Fees that are due are
    proposed. Late data adds runs beside the old ones; nothing is ever changed."""
    refuse_parameters(request)
    commit = whole_id(commit_id)

    def made(records: TenantRecords) -> dict[str, Any]:
        last = None if given.month is None else read_month(given.month, "--month")
        return run_commit(records, commit, last, datetime.now(UTC))

    return await write(request, identity, made, lambda found: 201 if found["added"] else 200)


@router.get("/runs/{id}", response_model=Run, summary="A run of a commit")
async def get_run(request: Request, run_hash: _Hash, identity: Reader) -> Response:
    """Its results, and what they were worked out from."""
    refuse_parameters(request)
    return respond(request, line_of(await read(request, identity, partial(whole_run, run_hash=_hash(run_hash)))))


@router.get("/runs/{id}/explain", response_model=Explanation, summary="Explain a run")
async def explain(
    request: Request, run_hash: _Hash, query: Annotated[ExplainQuery, Query()], identity: Reader
) -> Response:
    """The tree of an output, down to the events, invoice lines and costs that its metrics come from."""
    refuse_repeated(request)
    asked, place = Question(query.output, query.period, query.to_date), RunRef(run_hash=_hash(run_hash))

    def explained(records: TenantRecords) -> dict[str, Any]:
        return explain_commit(records, place, asked, query.events).as_json()

    return respond(request, line_of(await read(request, identity, explained)))


@router.get("/commits/{id}/realisation", response_model=Realisation, summary="Realised against committed value")
async def realisation(
    request: Request, commit_id: Id, query: Annotated[RealisationQuery, Query()], identity: Reader
) -> Response:
    """What came of a commit in a month, and what each measured input adds to the difference from what was agreed."""
    refuse_repeated(request)
    asked = {"cases": (query.from_, query.to), "output": query.output, "period": query.period}

    def compared(records: TenantRecords) -> dict[str, Any]:
        month = None if query.month is None else read_month(query.month, "--month")
        return difference(records, commit_id, month, asked)

    return respond(request, line_of(await read(request, identity, compared)))


@router.get("/fee-proposals", response_model=FeeProposalPage, summary="List fee proposals")
async def list_proposals(request: Request, query: Annotated[ModelListQuery, Query()], identity: Reader) -> Response:
    """Fees proposed for outcomes with their states, the oldest first."""
    refuse_repeated(request)
    cursors, scope = service_of(request).cursors, ("fee_proposals", identity.tenant)
    (after,) = cursors.read(scope, query.cursor, 1)
    rows = await read(request, identity, partial(listed, now=datetime.now(UTC)))
    names = [row["proposal"] for row in rows]
    rest = rows[names.index(after) + 1 if after in names else 0 :]
    cursor = cursors.make(scope, [rest[query.limit - 1]["proposal"]]) if len(rest) > query.limit else None
    return respond(request, page(rest, query.limit, cursor))


@router.get("/fee-proposals/{id:path}", response_model=FeeProposal, summary="A fee proposal")
async def get_proposal(request: Request, name: _Proposal, identity: Reader) -> Response:
    """What it is a share of, its state and the invoice that bills it."""
    refuse_parameters(request)
    found = partial(proposed, proposal=name, now=datetime.now(UTC))
    return respond(request, line_of(await read(request, identity, found)))


@router.post(
    "/fee-proposals/{id:path}/accept",
    response_model=FeeProposal,
    summary="Accept a fee proposal",
    openapi_extra=REPEATABLE,
)
async def accept(request: Request, name: _Proposal, identity: Approver) -> Response:
    """Say yes for the customer: the next invoice bills it."""
    refuse_parameters(request)
    given: dict[str, str | None] = {"by": identity.key_prefix, "reason": None}
    return await write(request, identity, partial(answer, proposal=name, verdict="accepted", given=given), _written)


@router.post(
    "/fee-proposals/{id:path}/dispute",
    response_model=FeeProposal,
    summary="Dispute a fee proposal",
    openapi_extra=REPEATABLE,
)
async def dispute(request: Request, name: _Proposal, body: DisputeRequest, identity: Approver) -> Response:
    """Within its window: it is not billed until it is accepted."""
    refuse_parameters(request)
    given: dict[str, str | None] = {"by": identity.key_prefix, "reason": body.reason}
    return await write(request, identity, partial(answer, proposal=name, verdict="disputed", given=given), _written)


def _written(_: dict[str, Any]) -> int:
    return 200


def _hash(given: str) -> str:
    """A run's hash.

    Raises:
        Problem: ``not-found``, of what can be none.
    """
    if not is_plain(given):
        raise Problem("not-found", "No run of yours has this hash.")
    return given
