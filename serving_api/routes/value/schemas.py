"""Shapes of requests and answers about value models."""

from __future__ import annotations

from typing import Annotated, Any

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
