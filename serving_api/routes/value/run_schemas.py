"""Shapes of requests and answers about runs of commits and fee proposals."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from serving_api.routes.value.schemas import REASON, CommitId
from serving_api.schemas import Page, Query

Month = Annotated[str, Field(pattern=r"^[1-9][0-9]{3}-(0[1-9]|1[0-2])$", max_length=7, examples=["2024-01"])]
CaseName = Literal["committed", "forecast", "realised"]
_OUTPUT = Field(min_length=1, max_length=256, description="benefit, cost, net, a driver, a cost or a variable.")


class CommitRunRequest(BaseModel):
    """For which months a commit is run."""

    model_config = ConfigDict(extra="forbid", strict=True)
    month: Annotated[Month | None, Field(description="The last one; the last that is measured by default.")] = None


class CaseRunMade(BaseModel):
    """The newest run of a case."""

    case: CaseName
    month: Month
    run_hash: Annotated[str, Field(examples=["52ce" + "a1" * 30])]
    new: Annotated[bool, Field(description="False: what is known has given the same before.")]


class FeeDue(BaseModel):
    """A fee that was proposed now."""

    proposal: Annotated[str, Field(examples=["chat-main/value/2024-01..2024-01/1"])]
    charge: str
    amount: Annotated[str, Field(examples=["10.00"])]
    currency: Annotated[str, Field(examples=["USD"])]


class MonthRefused(BaseModel):
    """A month that a commit could not be run for, or whose fee could not be worked out."""

    month: Month
    reason: str


class CommitRun(BaseModel):
    """What running a commit gave."""

    commit: CommitId
    model: str
    known_at: Annotated[str, Field(description="When the newest event behind the metrics was received.")]
    runs: Annotated[list[CaseRunMade], Field(description="Of the last month.")]
    added: Annotated[int, Field(description="New runs of all months.")]
    proposals: list[FeeDue]
    refused: list[MonthRefused]


class RunResult(BaseModel):
    """A result of a run."""

    name: Annotated[str, Field(examples=["benefit"])]
    value: Annotated[str, Field(description="The exact number.", examples=["1250.5"])]
    unit: Annotated[str, Field(examples=["USD"])]


class Run(BaseModel):
    """A run of a commit, with what it used."""

    run_hash: str
    commit: CommitId
    model: str
    case: CaseName
    month: Month
    known_at: str
    computed_at: str
    content_hash: str
    results: list[RunResult]
    document: Annotated[dict[str, Any], Field(description="Inputs, metric rows, flags and values.")]


class ExplainQuery(Query):
    """What of a run is explained; as the options of `valueverse value explain`."""

    output: Annotated[str, _OUTPUT] = "benefit"
    period: Annotated[int | None, Field(ge=1, le=100_000, description="That of the month by default.")] = None
    to_date: Annotated[bool, Field(description="The sum over the periods up to it.")] = False
    events: Annotated[int, Field(ge=0, le=1000, description="Events or lines shown of each value.")] = 5


class Explanation(BaseModel):
    """Formulas, values and units, down to metrics and events; as `valueverse value explain --json`."""

    model_config = ConfigDict(extra="allow")
    run_hash: str
    root: Any
    value: float | None
    unit: str
    nodes: Annotated[list[dict[str, Any]], Field(description="Every node once, parents first, children by their ids.")]


class RealisationQuery(Query):
    """What is compared; as the options of `valueverse value variance`."""

    month: Annotated[Month | None, Field(description="The last one measured by default.")] = None
    from_: Annotated[CaseName, Field(alias="from")] = "committed"
    to: CaseName = "realised"
    output: Annotated[str, _OUTPUT] = "benefit"
    period: Annotated[int | None, Field(ge=1, le=100_000, description="This one alone; all, to date, by default.")] = (
        None
    )


class InputShare(BaseModel):
    """What an input adds to the difference."""

    input: str
    unit: str
    before: float
    after: float
    share: str
    exact: Annotated[str, Field(description="As a fraction.", examples=["25/2"])]


class Realisation(BaseModel):
    """Two cases of a commit and what each input adds to their difference: Shapley shares, which add up exactly; as
    `valueverse value variance --json`."""

    model_config = ConfigDict(extra="allow")
    commit: CommitId
    model: str
    month: Month
    output: str
    unit: str
    before: Annotated[str, Field(examples=["480.00"])]
    after: Annotated[str, Field(examples=["505.25"])]
    difference: Annotated[str, Field(examples=["25.25"])]
    shares: list[InputShare]


class FeeProposal(BaseModel):
    """A fee for an outcome; as a line of `valueverse value proposals`."""

    model_config = ConfigDict(extra="allow")
    proposal: Annotated[str, Field(description="Its name.", examples=["chat-main/value/2024-01..2024-01/1"])]
    model: str
    customer: str
    subscription: str
    charge: str
    commit_id: CommitId
    run_hash: str
    first_day: str
    last_day: str
    realised_value: Annotated[str, Field(examples=["50"])]
    binding: Annotated[Literal["none", "floor", "cap"], Field(description="What the fee is bounded by.")]
    amount: Annotated[str, Field(examples=["10"])]
    currency: str
    state: Annotated[
        Literal["open", "disputed", "approved", "withdrawn"],
        Field(description="Approved once it is accepted, or its dispute window ends."),
    ]
    disputable_until: str
    invoice: Annotated[str | None, Field(description="Number of the invoice that bills it.")]


class FeeProposalPage(Page):
    """A page of fee proposals, the oldest first."""

    data: list[FeeProposal]


class DisputeRequest(BaseModel):
    """Why a fee is disputed."""

    model_config = ConfigDict(extra="forbid", strict=True)
    reason: Annotated[str, REASON]
