"""Errors in the shapes that the clients of other systems read; everywhere else they are problem documents."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson
from starlette.responses import Response
from starlette.routing import Match

from serving_api.metrics import PROBLEMS
from serving_api.problems import Problem, problem_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.requests import Request

    from valueverse.landing.dialects import EventProblem

_COMPAT = "/compat/"
_OF_STRIPE = ("/v1/billing/", "/v2/billing/")
"""Where Stripe's routes are for clients that take a host alone."""
_SHOWN = 100
"""Events that are wrong and named in an answer."""
_STREAM = "/v2/billing/meter_event_stream"


class EventsRefused(Problem):
    """Nothing of a request is stored, because of these of its events."""

    def __init__(self, events: Sequence[EventProblem]) -> None:
        first = events[0]
        what = f"event {first.number}: {first.place}: {first.message}" if first.place else first.message
        places = [{"path": f"[{one.number}].{one.place}", "message": one.message} for one in events[:_SHOWN]]
        super().__init__("invalid-request", f"Nothing is stored: {what}", errors=places)
        self.events = events[:_SHOWN]


def error_answer(problem: Problem, path: str, request_id: str) -> Response:
    """The answer to a request that failed, in the shape that whoever asks at ``path`` reads."""
    PROBLEMS.labels(problem.name).inc()
    dialect = dialect_of(path)
    status = 400 if problem.status_code == 422 and dialect in _WITHOUT_422 else problem.status_code
    shape = _SHAPES.get(dialect)
    if shape is None:
        return problem.answer(request_id, status)
    headers = {**(problem.headers or {}), "Request-Id": request_id}
    return Response(orjson.dumps(shape(problem, status, path)), status, headers, "application/json")


def dialect_of(path: str) -> str:
    """The name of the dialect that an address is of; empty: it is ours."""
    if path.startswith(_OF_STRIPE):
        return "stripe"
    return path.removeprefix(_COMPAT).partition("/")[0] if path.startswith(_COMPAT) else ""


async def answer_problem(request: Request, error: Exception) -> Response:
    """Exception handler of the app."""
    problem = problem_of(error)
    if problem.status_code == 405:
        # The framework names the methods of the first route alone; one address may have several.
        routes = [route for route in request.app.state.routes if route.matches(request.scope)[0] is not Match.NONE]
        problem.headers = {"Allow": ", ".join(sorted(set().union(*(route.methods for route in routes))))}
    return error_answer(problem, request.scope["path"], request.scope["exchange"].request_id)


def _lago(problem: Problem, status: int, _path: str) -> dict[str, Any]:
    details: dict[str, dict[str, list[str]]] = {}
    for one in _events(problem):
        details.setdefault(str(one.number), {}).setdefault(one.place, []).append(one.message)
    code = {404: {"code": "object_not_found"}, 422: {"code": "validation_errors"}}.get(status, {})
    return {
        "status": status,
        "error": HTTPStatus(status).phrase,
        **code,
        "error_details": details or {"request": [problem.detail]},
    }


def _stripe(problem: Problem, status: int, path: str) -> dict[str, Any]:
    kind = "rate_limit_error" if status == 429 else "invalid_request_error" if status < 500 else "api_error"
    error: dict[str, Any] = {"type": kind, "message": problem.detail}
    if status == 401 and path.endswith(_STREAM):
        error |= {"type": "temporary_session_expired", "code": "billing_meter_event_session_expired"}
    elif status == 429:
        error["code"] = "rate_limit"
    places = [one.place for one in _events(problem)] or [one["path"] for one in problem.errors or ()]
    return {"error": error | ({"param": places[0]} if places else {})}


def _metronome(problem: Problem, _status: int, _path: str) -> dict[str, Any]:
    return {"message": problem.detail}


def _orb(problem: Problem, status: int, _path: str) -> dict[str, Any]:
    failed: dict[str, list[str]] = {}
    for one in _events(problem):
        failed.setdefault(one.key or f"events[{one.number}]", []).append(f"{one.place}: {one.message}")
    return {
        "status": status,
        "title": HTTPStatus(status).phrase,
        "type": f"urn:valueverse:problem:{problem.name}",
        "detail": problem.detail,
        "validation_errors": [one["message"] for one in problem.errors or ()],
        "validation_failed": [{"idempotency_key": key, "validation_errors": found} for key, found in failed.items()],
    }


def _events(problem: Problem) -> Sequence[EventProblem]:
    return problem.events if isinstance(problem, EventsRefused) else ()


_WITHOUT_422 = {"metronome", "openmeter", "orb", "stripe"}
_SHAPES: dict[str, Callable[[Problem, int, str], dict[str, Any]]] = {
    "lago": _lago,
    "metronome": _metronome,
    "orb": _orb,
    "stripe": _stripe,
}
