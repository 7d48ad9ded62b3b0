"""Simulations: past events billed under any catalog."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from serving_api.idempotency import PARAMETER
from serving_api.routes.computations import answers
from serving_api.routes.computations.schemas import (
    ListQuery,
    NewSimulation,
    Simulation,
    SimulationPage,
    SimulationState,
)
from serving_api.security.authentication import requires
from serving_api.security.tokens import Identity
from valueverse.services.computations.asked import AskedSimulation

router = APIRouter(prefix="/v1/simulations", tags=["billing"])
_KIND = "simulation"
_Reader = Annotated[Identity, Depends(requires("billing:read"))]
_Writer = Annotated[Identity, Depends(requires("billing:write"))]
_REPEATABLE = {"parameters": [PARAMETER]}


@router.post(
    "",
    response_model=SimulationState,
    status_code=202,
    summary="Simulate",
    openapi_extra=_REPEATABLE,
)
async def simulate(request: Request, identity: _Writer, given: NewSimulation) -> Response:
    """Bill all that was received so far under a catalog, by the engine that bills; nothing is booked.

    `Location` is where its progress and, once it is done, its result is read: that of `valueverse simulate --lake`.
    """
    asked = AskedSimulation(given.catalog, given.compare, given.from_, given.to, given.known_at, tuple(given.run_at))
    return await answers.ask(request, identity, _KIND, asked)


@router.get("", response_model=SimulationPage, summary="List simulations")
async def list_simulations(request: Request, query: Annotated[ListQuery, Query()], identity: _Reader) -> Response:
    """The newest first, without their results."""
    return await answers.listed(request, identity, _KIND, query)


@router.get("/{id}", response_model=Simulation, summary="A simulation")
async def get_simulation(request: Request, computation: answers.Id, identity: _Reader) -> Response:
    """How far it is, and its result once it is done. Results stay."""
    return await answers.read(request, identity, _KIND, computation)


@router.post("/{id}/cancel", response_model=SimulationState, summary="Cancel a simulation", openapi_extra=_REPEATABLE)
async def cancel_simulation(request: Request, computation: answers.Id, identity: _Writer) -> Response:
    """End it while it waits or runs. Again changes nothing; once it has come to its end there is nothing to cancel."""
    return await answers.cancel(request, identity, _KIND, computation)
