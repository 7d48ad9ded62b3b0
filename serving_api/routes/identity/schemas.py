"""Shapes of requests and answers about identities."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from serving_api.schemas import CustomerQuery, Key

_DAY = 86_400

Scope = Literal["events:write", "billing:read", "billing:write", "value:write", "value:approve", "audit:read", "admin"]
KeyName = Annotated[
    str | None,
    Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$", description="What it is for.",
          examples=["dashboard"]),
]  # fmt: skip


def _number(value: object) -> object:
    # Pydantic would take "1" and true for 1; it takes no list.
    return [value] if isinstance(value, str | bool) else value


class Person(BaseModel):
    """Who a person is."""

    email: Annotated[str, Field(examples=["ada@example.com"])]
    name: str | None
    role: Annotated[str, Field(examples=["finance"])]


class Me(BaseModel):
    """Who the session acts for."""

    tenant: Annotated[str, Field(examples=["northwind-ai"])]
    kind: Annotated[Literal["api_key", "user", "portal"], Field(description="What signed in.")]
    id: Annotated[
        str,
        Field(
            description="Prefix of the API key; of a person its id; in the portal the customer.",
            examples=["k3x9q2m4ab7c"],
        ),
    ]
    user: Annotated[Person | None, Field(description="Of a session of a person.")]
    scopes: Annotated[list[Scope], Field(description="What it may do; `admin` stands for all of them.")]
    session: Annotated[str, Field(examples=["3f0a6f0e-4b7c-5d5a-9f43-0d8c8a1c2b11"])]


class KeyQuery(CustomerQuery):
    """Pages of API keys."""


class NewKey(BaseModel):
    """An API key to make."""

    model_config = ConfigDict(extra="forbid")
    name: KeyName = None
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=20, examples=[["billing:read"]])]
    expires_in_days: Annotated[
        int | None,
        Field(
            strict=True, ge=1, le=3650, description="It opens nothing from then on; null: it stays good.", examples=[90]
        ),
    ] = None


class Rotation(BaseModel):
    """How an API key is replaced."""

    model_config = ConfigDict(extra="forbid")
    overlap_seconds: Annotated[
        int,
        BeforeValidator(_number),
        Field(ge=0, le=30 * _DAY, description="How long the old key goes on.", examples=[_DAY]),
    ] = _DAY


class ApiKey(BaseModel):
    """An API key, without its secret."""

    prefix: Annotated[str, Field(description="Names it: `vv_<prefix>_<secret>`.", examples=["k3x9q2m4ab7c"])]
    name: str | None
    scopes: list[Scope]
    created_at: Annotated[str, Field(examples=["2026-01-02T03:04:05.678901Z"])]
    expires_at: str | None
    revoked_at: str | None


class ApiKeyPage(BaseModel):
    """A page of API keys, the oldest first."""

    data: list[ApiKey]
    has_more: bool
    next_cursor: Annotated[str | None, Field(description="Opaque; null on the last page.")]


class IssuedKey(ApiKey):
    """A new API key, shown this once."""

    key: Annotated[
        str | None,
        Field(description="The key itself; null where a request with the same Idempotency-Key had it before."),
    ]


class RotatedKey(IssuedKey):
    """A new API key that may do what another may."""

    replaces: Annotated[str, Field(description="Prefix of the old key.", examples=["k3x9q2m4ab7c"])]
    replaced_until: Annotated[str, Field(description="When the old key expires.")]


class NewPortalLink(BaseModel):
    """A link to the portal to make."""

    model_config = ConfigDict(extra="forbid")
    customer: Annotated[Key, Field(description="Customer key.", examples=["chat"])]
    expires_in_minutes: Annotated[
        int, BeforeValidator(_number), Field(ge=1, le=60, description="Good once, within this time.", examples=[15])
    ] = 15


class PortalLink(BaseModel):
    """A link to the portal."""

    customer: Annotated[str, Field(examples=["chat"])]
    expires_at: Annotated[str, Field(examples=["2026-01-02T03:04:05.678901Z"])]
    token: Annotated[
        str | None,
        Field(
            description="What a link carries, best after `#`: the portal exchanges it at once. Null where a request "
            "with the same Idempotency-Key had it before."
        ),
    ]


class PortalExchange(BaseModel):
    """The token of a link to exchange."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"token": "vvp_YWNtZQ.tZ0…"}]})
    token: Annotated[str, Field(min_length=1, max_length=256)]
