"""The resource of all assets, and the run config they share."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field, field_validator

from valueverse.platform.lake import Lake
from valueverse.platform.settings import TENANT_KEY, Settings, get_settings
from valueverse.platform.telemetry import tracing

if TYPE_CHECKING:
    from collections.abc import Iterator


class Platform(dg.ConfigurableResource):  # type: ignore[type-arg]  # Dagster's generic parameter is for IO managers
    """Settings and lake of this process's environment (``VALUEVERSE_*``)."""

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Platform]:
        """The resource of one run, which is a span where spans are sent; its tag ``traceparent`` names what caused
        it."""
        tracing.begin(self.settings, "valueverse-dagster")
        run = context.run
        attributes = {"dagster.run_id": run.run_id, "dagster.job_name": run.job_name} if run else {}
        parent = run.tags.get(tracing.TRACEPARENT) if run else None
        with tracing.span(f"run {run.job_name if run else 'assets'}", parent=parent, attributes=attributes):
            yield self
        tracing.flush()

    @property
    def settings(self) -> Settings:
        """Folders, addresses and ports."""
        return get_settings()

    @property
    def lake(self) -> Lake:
        """The Delta tables."""
        return Lake(self.settings.lake_url)


class TenantsConfig(dg.Config):
    """Which tenants a run is for: a backfill of some tenants is the same backfill with a filter."""

    tenants: list[str] = Field(default=[], description="Tenant keys; empty means all of them.")

    @field_validator("tenants")
    @classmethod
    def _are_keys(cls, tenants: list[str]) -> list[str]:
        wrong = [tenant for tenant in tenants if not TENANT_KEY.fullmatch(tenant)]
        if wrong:
            raise ValueError(f"tenants: {wrong[0]!r} is not a tenant key ([a-z0-9][a-z0-9_.-]{{0,62}})")
        return tenants

    def chosen(self) -> list[str] | None:
        """The tenants asked for, or None for all."""
        return sorted(set(self.tenants)) or None
