"""Shapes of requests and answers about value models."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from serving_api.routes.catalogs import CatalogProblem
from serving_api.schemas import Cursor, Limit, Page, Query


def _whole(value: object) -> object:
    # 2.0 is a whole number to JSON.
    return int(value) if isinstance(value, float) and value.is_integer() else value


_HASH = Field(description="SHA-256 of the document, whichever way it is written.", examples=["6fd1" + "0" * 60])


class ReadyModel(BaseModel):
    """A ready model of the library."""

    name: Annotated[str, Field(examples=["support_deflection"])]
    title: str | None


class Library(BaseModel):
    """The ready models, by name."""

    data: list[ReadyModel]


class ReadyModelText(ReadyModel):
    """A ready model with its text."""

    text: Annotated[str, Field(description="YAML with comments, to start from.")]


class ModelSummary(BaseModel):
    """The current version of a value model."""

    key: Annotated[str, Field(description="`model` of the document.", examples=["support_deflection"])]
    version: Annotated[int, Field(ge=1)]
    title: str | None
    content_hash: Annotated[str, _HASH]
    written_by: Annotated[str, Field(description="Prefix of the API key.", examples=["k3x9q2m4ab7c"])]
    written_at: Annotated[str, Field(examples=["2024-02-01T09:30:02.118000Z"])]


class StoredModel(ModelSummary):
    """A version of a value model with its text."""

    text: Annotated[str, Field(description="As it was sent: YAML or JSON.")]


class ModelPage(Page):
    """A page of value models, by key."""

    data: list[ModelSummary]


class ModelListQuery(Query):
    """Pages of value models."""

    limit: Limit = 25
    cursor: Cursor


class VersionQuery(Query):
    """Which version."""

    version: Annotated[int | None, Field(ge=1, le=2**31 - 1, description="The current one by default.")] = None


class ModelCheck(BaseModel):
    """What a model is made of, or everything that is wrong with it; as `valueverse value check --json`."""

    model_config = ConfigDict(extra="allow")
    ok: bool
    problems: list[CatalogProblem] | None = None


class MetricRow(BaseModel):
    """A measured value."""

    model_config = ConfigDict(extra="forbid", strict=True)
    metric: Annotated[str, Field(min_length=1, max_length=256, examples=["usage.tickets"])]
    customer: Annotated[str | None, Field(max_length=128)] = None
    period: Annotated[str, Field(max_length=40, examples=["2024-01"])]
    value: Annotated[str, Field(max_length=60, description="A number as text.", examples=["1200"])]


class ModelRun(BaseModel):
    """How a model is run; as the options of `valueverse value run`."""

    model_config = ConfigDict(extra="forbid", strict=True)
    scenarios: Annotated[list[Annotated[str, Field(max_length=128)]], Field(max_length=100)] = []
    draws: Annotated[int, Field(ge=1, le=2**22, description="Made a power of two."), BeforeValidator(_whole)] = 65_536
    seed: Annotated[int, Field(ge=0, le=2**53 - 1), BeforeValidator(_whole)] = 1
    outputs: Annotated[list[Annotated[str, Field(max_length=1000)]], Field(max_length=100, examples=[["npv"]])] = []
    customer: Annotated[str | None, Field(max_length=128, description="Only this customer's data.")] = None
    start: Annotated[str | None, Field(max_length=40, examples=["2024-01-01"])] = None
    data: Annotated[list[MetricRow] | None, Field(max_length=20_000, description="Measured data.")] = None


class RunAnswer(BaseModel):
    """Outputs, series and flags of each scenario; as `valueverse value run --json`."""

    model_config = ConfigDict(extra="allow")
    model: str
    content_hash: Annotated[str, _HASH]
    scenarios: dict[str, Any]
    flags: list[Any]
    draws: int
    seed: int
    run_hash: str


_ID = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the commit's document.", examples=["7d90" + "b4" * 30])
CommitId = Annotated[str, _ID]
REASON = Field(min_length=1, max_length=2000, examples=["The licence costs less."])
Day = Annotated[str, Field(max_length=40, description="First day of the first period.", examples=["2024-01-01"])]


class CommitRequest(BaseModel):
    """What is frozen with the model; as the options of `valueverse value commit`. The author is the API key."""

    model_config = ConfigDict(extra="forbid", strict=True)
    version: Annotated[
        int | None, Field(ge=1, le=2**31 - 1, description="Of the model's text; the current one by default.")
    ] = None
    scenario: Annotated[str, Field(max_length=128, description="The scenario agreed on.", examples=["base"])] = "base"
    seed: Annotated[int, Field(ge=0, le=2**53 - 1, description="Of the draws."), BeforeValidator(_whole)] = 1
    customer: Annotated[
        str | None, Field(max_length=128, description="Whom it is measured for; the whole tenant by default.")
    ] = None
    start: Day | None = None
    parent: Annotated[CommitId | None, Field(description="The commit that this one changes; with `reason`.")] = None
    reason: Annotated[str | None, REASON] = None
    data: Annotated[
        list[MetricRow] | None,
        Field(max_length=20_000, description="Measured data behind the baseline; the platform's by default."),
    ] = None


class CommitMade(BaseModel):
    """A commit and what it fixes; as `valueverse value commit --json`."""

    commit: CommitId
    model: Annotated[str, Field(examples=["support_deflection"])]
    state: Annotated[str, Field(examples=["proposed"])]
    new: Annotated[bool, Field(description="False: the same content was committed before.")]
    start: str | None
    baseline: Annotated[dict[str, float], Field(description="Values of frozen inputs.")]
    expected: Annotated[dict[str, float], Field(description="What measured inputs are taken to be until measured.")]


class Commit(BaseModel):
    """A commit and its state; as a line of `valueverse value log`."""

    commit: CommitId
    model: Annotated[str, Field(examples=["support_deflection"])]
    author: Annotated[str, Field(description="Prefix of the API key, or a name.", examples=["k3x9q2m4ab7c"])]
    parent: CommitId | None
    state: Annotated[
        Literal[
            "proposed", "approved_by_vendor", "approved_by_customer", "active", "superseded", "confirmed", "written_off"
        ],
        Field(description="Active once both sides have approved."),
    ]
    approvals: Annotated[
        dict[str, str], Field(description="Who approved, by side.", examples=[{"vendor": "m4ab7ck3x9q2"}])
    ]


class CommitStep(BaseModel):
    """Something that was done to a commit."""

    commit: CommitId
    action: Annotated[
        Literal["proposed", "vendor", "customer", "confirmed", "written_off"],
        Field(description="Proposed, approved by a side, or closed."),
    ]
    by: str
    at: Annotated[str, Field(examples=["2024-02-01T09:30:02.118000Z"])]
    reason: str | None


class WholeCommit(Commit):
    """A commit with what it froze and what was done to it."""

    history: Annotated[list[CommitStep], Field(description="Oldest first.")]
    document: Annotated[str, Field(description="Canonical JSON (RFC 8785), of which the id is the SHA-256.")]


class CommitPage(Page):
    """A page of commits, the oldest first."""

    data: list[Commit]


class ApprovalRequest(BaseModel):
    """One side's yes. By whom is the API key: neither the author's, nor the one that approved for the other side."""

    model_config = ConfigDict(extra="forbid", strict=True)
    side: Literal["vendor", "customer"]


class ClosingRequest(BaseModel):
    """How an active commit ends."""

    model_config = ConfigDict(extra="forbid", strict=True)
    outcome: Annotated[Literal["confirmed", "written_off"], Field(description="Of its value.")]
    reason: Annotated[str, REASON]


class DiffQuery(Query):
    """What a commit is compared with."""

    before: Annotated[CommitId | None, Field(description="A commit; the one that it changes by default.")] = None


class VerifyQuery(Query):
    """What must still hold."""

    head: Annotated[
        str | None,
        Field(pattern=r"^[0-9a-f]{64}$", description="`head` of an earlier answer, which must still be in the chain."),
    ] = None


class CommitDiff(BaseModel):
    """What differs between two commits; as `valueverse value diff --json`."""

    before: CommitId
    after: CommitId
    changes: Annotated[list[dict[str, Any]], Field(description="Structural: path, kind, before, after.")]
    money: Annotated[dict[str, Any], Field(description="Agreed over the whole term: before, after and difference.")]
    no_money: Annotated[str | None, Field(description="Why there is none.")]


class ChainProblem(BaseModel):
    """What does not hold."""

    chain: Literal["commits", "deeds"]
    sequence: int
    reason: Annotated[str, Field(examples=["document_edited"])]


class Verification(BaseModel):
    """The chains of the tenant's commits and of what was done to them, worked out again; as
    `valueverse value verify --json`."""

    ok: bool
    commits: int
    deeds: Annotated[int, Field(description="Entries of the log of what was done.")]
    head: Annotated[str | None, Field(description="Of that log; note it, and ask with it later.")]
    problems: list[ChainProblem]
