"""One job per stage; the checks of its assets run with it, but that of failed partitions, which is for every run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from pipelines.checks import CHECK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipelines.stages import Stage


def jobs_of(stages: Sequence[Stage]) -> list[dg.UnresolvedAssetJobDefinition]:
    """A job per row."""
    return [
        dg.define_asset_job(
            stage.job_name,
            selection=(dg.AssetSelection.assets(*stage.assets) | dg.AssetSelection.checks(*stage.checks))
            - _failed_partitions(stages),
            description=stage.description,
        )
        for stage in stages
    ]


def _failed_partitions(stages: Sequence[Stage]) -> dg.AssetSelection:
    return dg.AssetSelection.checks(*(dg.AssetCheckKey(stage.shown_on, CHECK) for stage in stages))
