"""Shapes of requests and answers about the protection of data about people."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from serving_api.schemas import CustomerQuery, Page

_PLAIN = r"^[^\x00-\x1f\x7f-\x9f]+$"
_SHOWN = "2026-01-02T03:04:05.678901Z"


class RestrictionQuery(CustomerQuery):
    """Pages of restrictions."""


class NewRestriction(BaseModel):
    """Why a customer's data is on hold."""

    model_config = ConfigDict(extra="forbid")
    reason: Annotated[
        str,
        Field(
            min_length=1,
            max_length=500,
            pattern=_PLAIN,
            description="Such as the file number of a dispute.",
            examples=["dispute 2024-17"],
        ),
    ]


class Restricted(BaseModel):
    """Whether a customer's data is on hold."""

    customer: Annotated[str, Field(examples=["chat"])]
    restricted: bool
    changed: Annotated[bool, Field(description="False: it was so before, for the reason that was given then.")]


class Restriction(BaseModel):
    """A customer whose data is on hold."""

    customer: Annotated[str, Field(examples=["chat"])]
    reason: str
    since: Annotated[str, Field(examples=[_SHOWN])]


class RestrictionPage(Page):
    """A page of restrictions, by customer."""

    data: list[Restriction]


class InstrumentQuery(CustomerQuery):
    """Pages of payment instruments."""


class NewInstrument(BaseModel):
    """What a payment provider charges a customer by."""

    model_config = ConfigDict(extra="forbid")
    provider: Annotated[str, Field(min_length=1, max_length=64, pattern=_PLAIN, examples=["stripe"])]
    token: Annotated[
        str,
        Field(
            min_length=1,
            max_length=256,
            pattern=_PLAIN,
            description="The provider's token. The number of a card or account is refused, and not stored.",
            examples=["pm_1NXWPnCo6bFb1KQto6C8OWvE"],
        ),
    ]
    kind: Literal["card", "account", "other"] = "card"
    last_four: Annotated[
        str | None, Field(pattern="^[0-9A-Z]{4}$", description="What may be shown of it.", examples=["4242"])
    ] = None


class Instrument(BaseModel):
    """A payment instrument: a token, and what may be shown of it."""

    instrument: Annotated[str, Field(examples=["pi_0123456789abcdef01234567"])]
    customer: Annotated[str, Field(examples=["chat"])]
    provider: Annotated[str, Field(examples=["stripe"])]
    token: Annotated[str, Field(examples=["pm_1NXWPnCo6bFb1KQto6C8OWvE"])]
    kind: Literal["card", "account", "other"]
    last_four: str | None
    created_at: Annotated[str, Field(examples=[_SHOWN])]


class InstrumentPage(Page):
    """A page of a customer's payment instruments, the oldest first."""

    data: list[Instrument]
