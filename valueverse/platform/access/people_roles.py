"""Roles of people and what each may do: the one table of it."""

from __future__ import annotations

from valueverse.platform.access.api_keys import SCOPES

SCOPES_OF: dict[str, tuple[str, ...]] = {
    "owner": SCOPES,
    "admin": SCOPES,
    "finance": ("billing:read", "billing:write", "value:approve", "audit:read"),
    "developer": ("events:write", "billing:read"),
    "analyst": ("billing:read", "value:write"),
    "viewer": ("billing:read",),
}
"""Scopes by role. An owner differs from an admin by ``may_manage`` alone."""
ROLES = tuple(SCOPES_OF)
"""From the one that may most on."""


def may_manage(role: str | None, *roles: str) -> bool:
    """Whether somebody may invite, change or disable people in all of ``roles``.

    Owners are made and changed by owners alone. An API key (None) never counts as one: an admin could make a key, and
    with it an owner.
    """
    return role == "owner" or "owner" not in roles
