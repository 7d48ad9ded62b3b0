"""Where the inputs of a run come from: for the leaves of an explanation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from valueverse.dates import month_later
from valueverse.errors import RefusalError
from valueverse.schemas.value import MODEL_METRICS
from valueverse.value.architect import Binding, Distribution, source_text
from valueverse.value.executor import bind_inputs
from valueverse.value.realisation.case_runs import MONTHS, central, frozen, truncated_program

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl
    from numpy.typing import NDArray

    from valueverse.value.architect import Program, Source
    from valueverse.value.realisation.case_runs import CaseRun, Commitment

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Sources:
    """Sources of a model's inputs on its assumptions, or on data given with it.

    Attributes:
        program: the model.
        scenario: its name ...
        overrides: ... and what it says of inputs.
        flagged: what was carried forward, defaulted or set to zero: input, period, policy, value.
    """

    program: Program
    scenario: str
    overrides: Mapping[str, Source]
    flagged: Sequence[Mapping[str, Any]]

    def of(self, name: str, period: int | None) -> dict[str, Any]:
        """``kind``: constant, series, distribution or metric, with what else is known of it.

        Args:
            name: of the input.
            period: of its value; None: it has one for all periods.
        """
        source = self.overrides.get(name, self.program.input(name).source)
        found: dict[str, Any] = {"kind": _kind(source), "text": source_text(source)}
        if isinstance(source, Binding):
            found |= {"metric": source.metric, "aggregation": source.aggregation, "period": period}
        return found | ({"scenario": self.scenario} if name in self.overrides else {})

    def text(self, name: str, period: int | None) -> str:
        """The source in words."""
        source = self.of(name, period)
        return _TEXTS[source["kind"]].format_map(source) + (
            f" (scenario {source['scenario']})" if "scenario" in source else ""
        )

    def flags(self, name: str, period: int | None) -> list[dict[str, Any]]:
        """Those of one value."""
        return [dict(one) for one in self.flagged if one["input"] == name and period in {None, one["period"]}]


_TEXTS = {
    "constant": "constant",
    "series": "{text}",
    "distribution": "mean of {text}",
    "metric": "measured: {text}",
    "baseline": "baseline of the commit: {text}",
    "expected": "expected by the commit: {text}",
}


def _kind(source: Source) -> str:
    if isinstance(source, Binding):
        return "metric"
    if isinstance(source, Distribution):
        return "distribution"
    return "series" if isinstance(source, tuple) else "constant"


def assumed_inputs(
    program: Program, scenario: str, metrics: pl.DataFrame | None, start: str | None = None
) -> tuple[dict[str, Floats], Sources]:
    """Every input of a model as a scenario has it, and where it comes from.

    Args:
        program: the model.
        scenario: its name.
        metrics: what bound inputs are measured by, as ``read_metrics`` gives it; None: nothing.
        start: first day of period 1; None: as ``bind_inputs`` finds it.

    Raises:
        RefusalError: ``unknown_scenario``, ``missing_metric``.
    """
    known = {one.name: one.overrides for one in program.scenarios}
    if scenario not in known:
        raise RefusalError.unknown("unknown_scenario", f"no scenario {scenario[:60]!r}", scenario, known, "--scenario")
    chosen = {one.name: known[scenario].get(one.name, one.source) for one in program.inputs}
    inputs = tuple(replace(one, source=chosen[one.name]) for one in program.inputs)
    bound = bind_inputs(
        replace(program, inputs=inputs), MODEL_METRICS.to_frame() if metrics is None else metrics, start
    )
    given = {name: bound.values[name] if name in bound.values else central(source) for name, source in chosen.items()}
    return given, Sources(program, scenario, known[scenario], bound.flags)


@dataclass(frozen=True)
class CommittedSources(Sources):
    """Sources of the inputs of a committed model's run, down to the metric's rows.

    Attributes:
        commitment: the commit.
        run: its run.
        known_at: state of knowledge of the metrics, ISO 8601.
    """

    commitment: Commitment
    run: CaseRun
    known_at: str

    def of(self, name: str, period: int | None) -> dict[str, Any]:
        """As ``Sources.of``; also ``baseline`` and ``expected``: frozen by the commit. A metric has ``rows``."""
        source = self.program.input(name).source
        committed = {"commit": self.commitment.commit, "known_at": self.commitment.watermark}
        if not isinstance(source, Binding):
            return super().of(name, period)
        described = {"metric": source.metric, "text": source_text(source), "aggregation": source.aggregation}
        if frozen(source):
            in_baseline = name in self.commitment.baseline
            return {"kind": "baseline"} | described | committed if in_baseline else super().of(name, period)
        measured = self.run.case == "realised" or (
            self.run.case == "forecast" and (period or 1) <= self.run.document["period"]
        )
        if measured:
            rows = self._rows(source.metric, period or 1)
            return {"kind": "metric"} | described | {"period": period, "rows": rows, "known_at": self.known_at}
        if name in self.overrides:
            return super().of(name, period)
        return {"kind": "expected"} | described | committed

    def _rows(self, metric: str, period: int) -> list[dict[str, Any]]:
        """The metric's values that a period's is made of: customer, month (YYYY-MM), value."""
        months = set(self.months(period))
        return [
            {"customer": customer, "month": month, "value": value}
            for one, customer, month, value in self.run.document["metrics"]
            if one == metric and month in months
        ]

    def months(self, period: int) -> list[str]:
        """The calendar months of a period, YYYY-MM."""
        start, length = self.commitment.start, MONTHS[self.program.axis.grain]
        assert start is not None  # noqa: S101 - a commit without one is not run
        first = (period - 1) * length
        return [f"{month_later(start, place):%Y-%m}" for place in range(first, first + length)]


def run_inputs(
    commitment: Commitment, run: CaseRun, known_at: str
) -> tuple[Program, dict[str, Floats], CommittedSources]:
    """A committed model's run as it was made: the program over its periods, every input, and where it comes from.

    Args:
        commitment: the commit.
        run: as it is stored.
        known_at: state of knowledge of its metrics, ISO 8601.
    """
    program = commitment.program
    covered = run.document["period"] if run.case == "realised" else program.axis.periods
    given = {name: np.array([values], dtype=np.float64) for name, values in run.document["inputs"].items()}
    sources = CommittedSources(
        program,
        commitment.scenario,
        commitment.overrides,
        run.document["flags"],
        commitment=commitment,
        run=run,
        known_at=known_at,
    )
    return truncated_program(program, covered), given, sources
