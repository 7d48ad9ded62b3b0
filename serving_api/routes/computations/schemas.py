"""Shapes of requests and answers about simulations and re-ratings."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from serving_api.schemas import Cursor, Day, Key, Limit, Page, Query

_CATALOG = "schema: valueverse.catalog/v1\ncurrency: USD\nplans: [{key: pro, fees: [{key: base, amount: '25'}]}]\n"
_DEARER = _CATALOG.replace("25", "29")
Catalog = Annotated[str, Field(min_length=1, max_length=2**20, examples=[_CATALOG])]


class NewSimulation(BaseModel):
    """What to bill, under which catalogs; the rest as the options of `valueverse simulate`."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"catalog": _CATALOG, "compare": _DEARER, "from": "2023-10-01"}]},
    )
    catalog: Annotated[Catalog, Field(description="A catalog as its file holds it (YAML or JSON), at most 1 MiB.")]
    compare: Annotated[
        Catalog | None,
        Field(description="A second one: the result is what it changes for each customer. Else it is invoices."),
    ] = None
    from_: Annotated[
        Day | None, Field(alias="from", description="Periods that end after this day; by default all.")
    ] = None
    to: Annotated[Day | None, Field(description="Periods that end up to this day; by default all.")] = None
    known_at: Annotated[
        AwareDatetime | None, Field(description="As known then; by default each period as known at its close.")
    ] = None
    run_at: Annotated[
        list[AwareDatetime],
        Field(max_length=36, description="Bill as a run at each of these times would, in turn, with corrections."),
    ] = []


class NewRerating(BaseModel):
    """Which finalised invoices to rate again, and under what; as the options of `valueverse rerate plan`."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"from": "2023-10-01", "to": "2023-12-31", "catalog": _DEARER}]},
    )
    from_: Annotated[Day, Field(alias="from", description="Invoices of periods that end after this day.")]
    to: Annotated[Day, Field(description="Invoices of periods that end up to this day.")]
    customers: Annotated[list[Key], Field(max_length=1000, description="Only theirs; none: of all.")] = []
    catalog: Annotated[
        Catalog | None, Field(description="Another catalog, as its file holds it; by default the terms as known now.")
    ] = None


class ListQuery(Query):
    """Pages, the newest first."""

    limit: Limit = 25
    cursor: Cursor


class Progress(BaseModel):
    """How far it is."""

    step: Annotated[str | None, Field(description="What is being done.", examples=["billing"])]
    done: Annotated[int, Field(ge=0)]
    of: Annotated[int, Field(ge=1, description="Steps in all.")]


class ComputationProblem(BaseModel):
    """Why there is no result, or why a plan was not applied; `message` names the cure."""

    code: Annotated[str, Field(examples=["no_events"])]
    message: str
    path: Annotated[str, Field(description="In what was asked for; empty where nothing of it is the reason.")]


_ID = Annotated[str, Field(json_schema_extra={"format": "uuid"}, examples=["0c6f5e0e-5a0f-4f6e-9a59-0d8c8a1f6b1e"])]
_REQUESTED_BY = Annotated[
    str, Field(description="Prefix of the API key, or id of the person.", examples=["k3x9q2m4ab7c"])
]


class SimulationState(BaseModel):
    """A simulation, without its result."""

    id: _ID
    status: Literal["waiting", "running", "done", "failed", "cancelled"]
    progress: Progress
    problem: ComputationProblem | None
    requested_by: _REQUESTED_BY
    requested_at: str
    ended_at: str | None


class SimulationResult(BaseModel):
    """What `valueverse simulate` answers: invoice documents, or what the second catalog changes."""

    from_: Annotated[str, Field(alias="from")]
    to: str
    invoices: list[dict[str, Any]] | None = None
    changes: Annotated[
        list[dict[str, Any]] | None,
        Field(
            description="`total`, `compared_total` and `difference` for each customer and currency; the last rows, "
            "without a customer, are those of all."
        ),
    ] = None
    notes: Annotated[list[str], Field(description="What was left out and why, at most 100 lines.")]


class Simulation(SimulationState):
    """A simulation."""

    result: SimulationResult | None


class SimulationPage(Page):
    """A page of simulations."""

    data: list[SimulationState]


class ReratingState(BaseModel):
    """A plan of a re-rating, without its differences."""

    id: _ID
    status: Literal["waiting", "running", "done", "failed", "cancelled", "applying", "applied", "stale"]
    progress: Progress
    problem: ComputationProblem | None
    requested_by: _REQUESTED_BY
    requested_at: str
    ended_at: str | None
    applied_at: str | None
    applied_invoices: int | None


class ReratingResult(BaseModel):
    """What `valueverse rerate plan` answers: differences of each customer, invoice and line."""

    plan: dict[str, Any]


class Rerating(ReratingState):
    """A plan of a re-rating."""

    result: ReratingResult | None


class ReratingPage(Page):
    """A page of plans of re-ratings."""

    data: list[ReratingState]
