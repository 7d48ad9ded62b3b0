"""Shapes of requests and answers about people."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from serving_api.schemas import CustomerQuery
from valueverse.platform.settings import TENANT_KEY
from valueverse.services.people.addresses import LONGEST as LONGEST_ADDRESS
from valueverse.services.people.passwords import LONGEST, SHORTEST

Role = Literal["owner", "admin", "finance", "developer", "analyst", "viewer"]
Tenant = Annotated[str, Field(pattern=f"^{TENANT_KEY.pattern}$", examples=["northwind-ai"])]
Email = Annotated[str, Field(min_length=3, max_length=LONGEST_ADDRESS, examples=["ada@example.com"])]
Password = Annotated[
    str,
    Field(
        min_length=1,
        max_length=LONGEST,
        description=f"At least {SHORTEST} letters that are not guessed early.",
        examples=["anchor violet teaspoon 82"],
    ),
]
Opaque = Annotated[str, Field(min_length=1, max_length=256, description="As the mail's link carries it.")]
_CREATED = ["2026-01-02T03:04:05.678901Z"]


class UserQuery(CustomerQuery):
    """Pages of people, or of invitations."""


class Login(BaseModel):
    """How a person signs in."""

    model_config = ConfigDict(extra="forbid")
    tenant: Tenant
    email: Email
    password: Annotated[str, Field(min_length=1, max_length=LONGEST, examples=["anchor violet teaspoon 82"])]
    code: Annotated[
        str | None,
        Field(max_length=40, description="Of the authenticator app, or a recovery code, where the person has one."),
    ] = None


class User(BaseModel):
    """A person who signs in to the tenant."""

    id: Annotated[str, Field(examples=["usr_4f1d3c2b5a697887f6e5d4c3"])]
    email: Annotated[str, Field(examples=["ada@example.com"])]
    name: str | None
    role: Role
    created_at: Annotated[str, Field(examples=_CREATED)]
    disabled_at: Annotated[str | None, Field(description="A disabled person never signs in again.")]


class UserPage(BaseModel):
    """A page of people, the oldest first."""

    data: list[User]
    has_more: bool
    next_cursor: Annotated[str | None, Field(description="Opaque; null on the last page.")]


class UserChange(BaseModel):
    """What of a person changes."""

    model_config = ConfigDict(extra="forbid")
    role: Annotated[Role, Field(examples=["finance"])]


class NewInvitationBody(BaseModel):
    """Whom to invite."""

    model_config = ConfigDict(extra="forbid")
    email: Email
    role: Annotated[Role, Field(description="One that whoever invites may give.", examples=["analyst"])]


class Invitation(BaseModel):
    """An invitation, without the token that its mail carries."""

    id: Annotated[str, Field(examples=["inv_4f1d3c2b5a697887f6e5d4c3"])]
    email: Annotated[str, Field(examples=["ada@example.com"])]
    role: Role
    state: Literal["open", "accepted", "revoked", "expired"]
    mail: Annotated[
        Literal["waiting", "sent", "failed"],
        Field(description="What has become of the mail. One that failed for half a day is given up: invite again."),
    ]
    invited_by: Annotated[
        str, Field(description="A person, an API key, or `system`.", examples=["usr_4f1d3c2b5a697887f6e5d4c3"])
    ]
    created_at: Annotated[str, Field(examples=_CREATED)]
    expires_at: Annotated[str, Field(examples=_CREATED)]


class InvitationPage(BaseModel):
    """A page of invitations, the oldest first."""

    data: list[Invitation]
    has_more: bool
    next_cursor: Annotated[str | None, Field(description="Opaque; null on the last page.")]


class Acceptance(BaseModel):
    """How an invitation becomes a person."""

    model_config = ConfigDict(extra="forbid")
    token: Opaque
    name: Annotated[str | None, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")] = None
    password: Password


class NewPassword(BaseModel):
    """Another password for oneself."""

    model_config = ConfigDict(extra="forbid")
    current: Annotated[str, Field(min_length=1, max_length=LONGEST, examples=["anchor violet teaspoon 82"])]
    password: Password


class ProvenPassword(BaseModel):
    """The own password, once more."""

    model_config = ConfigDict(extra="forbid")
    password: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=LONGEST,
            description="Left out by whoever has none, within ten minutes of a log-in by the identity provider.",
            examples=["anchor violet teaspoon 82"],
        ),
    ] = None


class Code(BaseModel):
    """What the authenticator app shows."""

    model_config = ConfigDict(extra="forbid")
    code: Annotated[str, Field(max_length=40, examples=["492039"])]


class PasswordAndCode(ProvenPassword):
    """The own password once more, and a code of the app or a recovery code."""

    code: Annotated[str, Field(max_length=40, examples=["492039"])]


class SecondFactor(BaseModel):
    """What an authenticator app needs, shown this once."""

    secret: Annotated[str, Field(description="Base32, to be typed.", examples=["JBSWY3DPEHPK3PXP"])]
    uri: Annotated[str, Field(description="The same as `otpauth:`, to be shown as a QR code.")]


class RecoveryCodes(BaseModel):
    """Codes for the day that the app is lost, shown this once."""

    recovery_codes: Annotated[list[str], Field(examples=[["k3x9q-2m4ab-7cdef-gh2jk"]])]


class ForgottenPassword(BaseModel):
    """Whose password is forgotten."""

    model_config = ConfigDict(extra="forbid")
    tenant: Tenant
    email: Email


class ResetPassword(BaseModel):
    """The token of the mail's link, and another password."""

    model_config = ConfigDict(extra="forbid")
    token: Opaque
    password: Password
