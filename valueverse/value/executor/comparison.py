"""What a change of a model is worth: its metrics before and after, scenario by scenario, at the means of inputs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from valueverse.value.architect import Outputs, Target
from valueverse.value.executor.run import RunRequest, run_model

if TYPE_CHECKING:
    import polars as pl

    from valueverse.value.architect import Program

METRICS = ("total_benefit", "total_cost", "net_benefit", "npv", "roi")


def at_means(program: Program, metrics: pl.DataFrame | None) -> dict[str, dict[str, float | None]]:
    """METRICS by scenario; empty where the model has neither drivers nor costs.

    Raises:
        RefusalError: as ``run_model``.
    """
    if not program.drivers and not program.costs:
        return {}
    targets = tuple(Target(name, "metric", None) for name in METRICS)
    bare = replace(program, outputs=Outputs(targets, (), (), (), ()))
    found = run_model(bare, metrics, RunRequest(draws=1))
    return {name: {metric: one["outputs"][metric] for metric in METRICS} for name, one in found["scenarios"].items()}


def money_difference(before: Program, after: Program, metrics: pl.DataFrame | None) -> dict[str, dict[str, Any]]:
    """For each scenario of either model: metric -> before, after, difference (None where one side has none)."""
    old, new = at_means(before, metrics), at_means(after, metrics)
    return {
        scenario: {
            name: compared_values(old.get(scenario, {}).get(name), new.get(scenario, {}).get(name)) for name in METRICS
        }
        for scenario in dict.fromkeys([*old, *new])
    }


def compared_values(before: float | None, after: float | None) -> dict[str, float | None]:
    """before, after and their difference, None where one side has none."""
    gap = None if before is None or after is None else after - before
    return {"before": before, "after": after, "difference": gap}
