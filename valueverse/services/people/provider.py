"""An identity provider of a tenant."""

from __future__ import annotations

from dataclasses import dataclass, field

from valueverse.platform.protection import Cell


@dataclass(frozen=True)
class Provider:
    """An identity provider as the tenant states it.

    Attributes:
        tenant: whose it is.
        issuer: its address; documents and tokens have to name this very text.
        client_id: what the provider calls us.
        client_secret: what we prove to it that we are that client by.
        name: of this state of it; empty: it is not stored yet.
    """

    tenant: str
    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    name: str = ""

    @property
    def cell(self) -> Cell:
        """Where the secret is sealed for."""
        return Cell(self.tenant, "", "auth.identity_provider", "client_secret", (self.issuer, self.client_id))
