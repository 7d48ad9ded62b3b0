"""Shapes of requests and answers about identity providers."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class SignInStart(BaseModel):
    """Who begins a log-in by the identity provider."""

    code_challenge: Annotated[
        str,
        Field(
            pattern="^[A-Za-z0-9_-]{43}$",
            description="S256 (RFC 7636) of a `code_verifier` that the web app keeps, and shows to finish the log-in.",
            examples=["E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"],
        ),
    ]
    model_config = ConfigDict(extra="forbid")


class ProviderAnswer(BaseModel):
    """What a provider sends a browser back with (RFC 6749, section 4.1.2; RFC 9207); whatever else it adds is left."""

    state: Annotated[str, Field(min_length=1, max_length=2048)]
    code: Annotated[str | None, Field(min_length=1, max_length=4096)] = None
    iss: Annotated[str | None, Field(max_length=2000)] = None


class SignInFinish(BaseModel):
    """How a log-in by the identity provider becomes a session."""

    model_config = ConfigDict(extra="forbid")
    token: Annotated[str, Field(min_length=1, max_length=256, description="As the web app's address carries it.")]
    code_verifier: Annotated[
        str,
        Field(
            pattern="^[A-Za-z0-9._~-]{43,128}$",
            description="Of the challenge that began the log-in.",
            examples=["dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"],
        ),
    ]
    code: Annotated[
        str | None,
        Field(max_length=40, description="Of the authenticator app, or a recovery code, where the person has one."),
    ] = None


class NewIdentityProvider(BaseModel):
    """An identity provider (OpenID Connect)."""

    model_config = ConfigDict(extra="forbid")
    issuer: Annotated[
        str,
        Field(
            min_length=8,
            max_length=2000,
            description="Letter for letter as the provider calls itself.",
            examples=["https://login.example.com"],
        ),
    ]
    client_id: Annotated[str, Field(pattern="^[!-~]{1,255}$", examples=["valueverse"])]
    client_secret: Annotated[
        str, Field(pattern="^[ -~]{1,1024}$", description="Stored sealed; never shown.", examples=["of the provider"])
    ]


class IdentityProvider(BaseModel):
    """A tenant's identity provider, without its secret."""

    issuer: Annotated[str, Field(examples=["https://login.example.com"])]
    client_id: Annotated[str, Field(examples=["valueverse"])]
    redirect_uri: Annotated[
        str,
        Field(
            description="To be registered with the provider, letter for letter.",
            examples=["https://billing.example.com/v1/auth/oidc/northwind-ai/callback"],
        ),
    ]
    changed_at: Annotated[str, Field(examples=["2026-01-02T03:04:05.678901Z"])]
