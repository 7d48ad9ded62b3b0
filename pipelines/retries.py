"""Held tenants tried again: a run per stage and gapless range of their partitions, for them alone."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from assets.partitions import contiguous
from pipelines.pending import Work
from valueverse.services.tenant_holds import due_again

if TYPE_CHECKING:
    from datetime import datetime

    from pipelines.stages import Stage
    from valueverse.platform.settings import Settings


def retries(settings: Settings, stage: Stage, due_at: datetime | None = None) -> list[Work]:
    """The runs that try the stage's held tenants again: those due by an instant; None: all of them."""
    if stage.holds is None:
        return []
    rows = due_again(settings, stage.holds, due_at)
    if rows.is_empty():
        return []
    tenants = rows["tenant"].unique().sort().to_list()
    attempts = int(rows["attempts"].sum())
    # A run's key is indexed, and an index takes no text as long as many tenants' keys.
    named = hashlib.sha256(",".join(tenants).encode()).hexdigest()[:32]
    config = stage.tenants_config(tenants)
    if stage.partitions is None:
        return [Work(f"held:{stage.name}:{named}:{attempts}", config=config)]
    keys = {str(day) for day in rows["period"].unique()}
    return [
        Work(f"held:{stage.name}:{first}:{last}:{named}:{attempts}", (first, last), config)
        for first, last in contiguous(keys, monthly=stage.is_monthly)
    ]
