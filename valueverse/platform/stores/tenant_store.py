"""Which tenants the warehouse knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valueverse.platform.queries import frame_of, rows_of, values_of
from valueverse.schemas.subscriptions import TENANT_PROFILES

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl
    import psycopg


def known_tenants(connection: psycopg.Connection[Any], tenants: Sequence[str] | None = None) -> pl.DataFrame:
    """tenant, timezone of these tenants (None: of all), by tenant."""
    return frame_of(
        connection,
        "select tenant_id::text as tenant, timezone from billing.tenant where %s::text[] is null or tenant_id = "
        "any(%s) "
        "order by tenant_id",
        [tenants, tenants],
        TENANT_PROFILES.part("tenant", "timezone"),
    )


def tenant_keys(connection: psycopg.Connection[Any]) -> list[str]:
    """Keys of all tenants, sorted."""
    return values_of(connection, "select tenant_id::text from billing.tenant order by tenant_id")


def tenants_with_keys(connection: psycopg.Connection[Any]) -> list[dict[str, Any]]:
    """A row for each API key, and one for a tenant without any, by tenant; never a secret."""
    return rows_of(
        connection,
        "select coalesce(t.tenant_id, k.tenant_id)::text as tenant, t.name, t.timezone, t.currency::text as currency, "
        "k.prefix as key, case when k.revoked_at is not null then 'revoked' when k.expires_at <= now() then 'expired' "
        "when k.prefix is not null then 'valid' end as state, array_to_string(k.scopes, ', ') as scopes, k.name "
        "as purpose from billing.tenant t full join auth.api_key k on k.tenant_id = t.tenant_id "
        "order by 1, k.created_at, k.prefix",
    )
