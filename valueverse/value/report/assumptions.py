"""What a result depends on: inputs with units, owners and sources; what was carried or defaulted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from valueverse.schemas.value import MODEL_METRICS
from valueverse.value.architect import Binding, Distribution
from valueverse.value.executor import bind_inputs, expected_value, quantiles
from valueverse.value.report import formatting
from valueverse.value.report.page import Link, Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

    from valueverse.value.architect import Input, Program, Scenario, Source
    from valueverse.value.report.charts import Calendar
    from valueverse.value.report.page import Cell, Part

_POLICIES = {"carry_forward": "last known value carried forward", "default": "default used", "zero": "counted as 0"}


def bound_values(
    program: Program, scenario: Scenario, metrics: pl.DataFrame | None, start: str | None
) -> dict[str, list[float]]:
    """Values of measured inputs in a scenario, one or one per period."""
    inputs = tuple(replace(one, source=scenario.overrides.get(one.name, one.source)) for one in program.inputs)
    found = bind_inputs(
        replace(program, inputs=inputs), MODEL_METRICS.to_frame() if metrics is None else metrics, start
    )
    return {name: values[0].tolist() for name, values in found.values.items()}


def inputs_table(
    program: Program,
    overrides: Mapping[str, Source],
    values: Mapping[str, Mapping[str, Sequence[float]]],
    document: Mapping[str, Any],
) -> Table:
    """Every input: its value, where it comes from, who answers for it and its sources.

    Args:
        program: the model, compiled.
        overrides: what the scenario says of inputs.
        values: case -> input -> its value or values in that case, for what is measured.
        document: the model's canonical document.
    """
    stated = document.get("inputs", {})
    evidence = document.get("evidence", {})
    rows = [
        (
            _named(one, stated.get(one.name, {})),
            _value(one, overrides.get(one.name, one.source), values),
            _origin(one, stated=one.name in overrides, measured=any(one.name in found for found in values.values())),
            _answers(stated.get(one.name, {}), evidence),
        )
        for one in program.inputs
    ]
    return Table("Inputs", ("Input", "Value", "Comes from", "Owner and sources"), rows)


def _named(one: Input, stated: Mapping[str, Any]) -> Cell:
    described = stated.get("description")
    return (formatting.name(one.name), str(described)) if described else formatting.name(one.name)


def _value(one: Input, source: Source, values: Mapping[str, Mapping[str, Sequence[float]]]) -> Cell:
    unit = str(one.unit) if one.unit is not None else "1"
    measured = {case: found[one.name] for case, found in values.items() if one.name in found}
    if isinstance(one.source, Binding) and measured:
        texts = {case: formatting.measure(float(np.mean(found)), unit) for case, found in measured.items()}
        alike = len(set(texts.values())) == 1
        return next(iter(texts.values())) if alike else tuple(f"{case}: {text}" for case, text in texts.items())
    if isinstance(source, Distribution):
        low, high = quantiles(source, np.array([0.05, 0.95]))
        middle = formatting.measure(expected_value(source), unit)
        return (middle, f"{formatting.number(float(low))} to {formatting.number(float(high))} in 9 of 10 draws")
    if isinstance(source, tuple):
        return f"{formatting.number(min(source))} to {formatting.measure(max(source), unit)}, by period"
    return formatting.NONE if isinstance(source, Binding) else formatting.measure(source, unit)


def _origin(one: Input, *, stated: bool, measured: bool) -> Cell:
    source = one.source
    if isinstance(source, Binding) and stated and not measured:
        return ("the scenario", f"to be measured: {source.metric} ({source.aggregation})")
    if isinstance(source, Binding):
        frozen = source.frozen is not None or source.window is not None
        span = f" of {source.window_text} before the start" if source.window_text else ""
        kind = f"baseline{span}" if frozen else "measured each period"
        return (kind, f"{source.metric} ({source.aggregation})")
    assumed = "uncertain assumption" if isinstance(source, Distribution) else "assumption"
    return "the scenario" if stated else assumed


def _answers(stated: Mapping[str, Any], evidence: Mapping[str, Any]) -> Cell:
    parts: list[Part] = [f"owner: {stated['owner']}"] if stated.get("owner") else []
    for key in stated.get("evidence", ()):
        found = evidence.get(key, key)
        if isinstance(found, str):
            parts.append(found)
            continue
        title = str(found.get("title") or found.get("url") or key)
        parts.append(Link(title, str(found["url"])) if found.get("url") else title)
    return tuple(parts) if len(parts) > 1 else parts[0] if parts else formatting.NONE


def notes_table(document: Mapping[str, Any]) -> list[Table]:
    """Sources with what is quoted from them; none where a model gives none."""
    rows = []
    for key, found in document.get("evidence", {}).items():
        reference = {"title": found} if isinstance(found, str) else found
        title = str(reference.get("title") or key)
        more = [str(reference[name]) for name in ("quote", "note") if reference.get(name)]
        shown: Cell = Link(title, str(reference["url"])) if reference.get("url") else title
        rows.append((shown, str(reference.get("year") or formatting.NONE), "; ".join(more) or formatting.NONE))
    return [Table("Sources", ("Source", "Year", "What it says"), rows)] if rows else []


def flags_table(program: Program, flags: Sequence[Mapping[str, Any]], calendar: Calendar) -> list[Table]:
    """Values that stand in for missing ones, neighbouring periods together, and what they reach."""
    groups: list[list[Mapping[str, Any]]] = []
    for flag in flags:
        last = groups[-1][-1] if groups else None
        alike = last is not None and all(last[name] == flag[name] for name in ("input", "policy", "value"))
        if alike and last is not None and flag["period"] == last["period"] + 1:
            groups[-1].append(flag)
        else:
            groups.append([flag])
    rows = [_flag(program, group, calendar) for group in groups]
    columns = ("Input", "Periods", "What stands in", "Reaches")
    return [Table("Values that were missing", columns, rows)] if rows else []


def _flag(program: Program, group: Sequence[Mapping[str, Any]], calendar: Calendar) -> tuple[Cell, ...]:
    first, last = group[0], group[-1]
    span = [
        calendar.name(one["period"]) if one["period"] > 0 else f"{1 - one['period']} before" for one in (first, last)
    ]
    unit = program.input(first["input"]).unit
    value = formatting.measure(first["value"], str(unit) if unit is not None else "1")
    reached = [
        formatting.name(node.name) for node in program.nodes if first["input"] in node.inputs and node.kind != "part"
    ]
    return (
        formatting.name(first["input"]),
        span[0] if len(group) == 1 else f"{span[0]} to {span[1]}",
        (_POLICIES[first["policy"]], value),
        formatting.listing(reached),
    )
