"""Distributions: the forms they are written in, what they reduce to, and the degenerate ones."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.support.value_models import compiled, only, refused
from valueverse.value.architect.program_ir import Distribution


def reduced(dist: dict[str, Any]) -> Distribution:
    source = compiled(inputs={"a": {"dist": dist}}, variables={"b": "a"}).inputs[0].source
    assert isinstance(source, Distribution)
    return source


@pytest.mark.parametrize(
    ("dist", "family", "parameters"),
    [
        ({"uniform": [1, 3]}, "uniform", (1, 3)),
        ({"uniform": {"low": 1, "high": 3}}, "uniform", (1, 3)),
        ({"normal": [5, 2]}, "normal", (5, 2)),
        ({"normal": {"mean": 5, "sd": 2}}, "normal", (5, 2)),
        ({"lognormal": [0.5, 0.2]}, "lognormal", (0.5, 0.2)),
        ({"triangular": [1, 2, 4]}, "triangular", (1, 2, 4)),
        ({"pert": [8, 11, 15]}, "beta", (1 + 4 * 3 / 7, 1 + 4 * 4 / 7, 8, 15)),
        ({"pert": [0, 1, 4], "shape": 2}, "beta", (1.5, 2.5, 0, 4)),
        ({"beta": [2, 3]}, "beta", (2, 3, 0, 1)),
        ({"beta": [2, 3], "low": 5, "high": 6}, "beta", (2, 3, 5, 6)),
        ({"interval90": [0, 2]}, "normal", (1, 1 / 1.6448536269514722)),
        ({"interval90": [1, math.e**2], "family": "lognormal"}, "lognormal", (1, 1 / 1.6448536269514722)),
        ({"empirical": [3, 1, 2, 2]}, "empirical", (1, 2, 2, 3)),
        ({"empirical": {"values": [3, 1]}}, "empirical", (1, 3)),
    ],
)
def test_a_distribution_reduces_to_its_family(dist: dict[str, Any], family: str, parameters: tuple[float, ...]):
    found = reduced(dist)
    assert found.family == family
    assert found.parameters == pytest.approx(parameters)


def test_a_lognormal_may_be_given_by_its_own_mean_and_deviation():
    mu, sigma = reduced({"lognormal": {"mean": 10, "sd": 3}}).parameters
    mean = math.exp(mu + sigma**2 / 2)
    assert mean == pytest.approx(10)
    assert mean * math.sqrt(math.expm1(sigma**2)) == pytest.approx(3)


@pytest.mark.parametrize(
    "values",
    [{"values": [2, 1], "probabilities": [0.25, 0.75]}, [[2, 0.25], [1, 0.75]], {"2": 0.25, "1": 0.75}],
)
def test_a_discrete_distribution_has_three_forms(values: Any):
    found = reduced({"discrete": values})
    assert (found.parameters, found.weights) == ((1, 2), (0.75, 0.25))


def test_a_clip_may_leave_a_side_open():
    assert reduced({"normal": [0, 1], "clip": [0, None]}).clip == (0, None)


@pytest.mark.parametrize(
    ("dist", "path"),
    [
        ({"uniform": [3, 3]}, "uniform"),
        ({"uniform": [3, 1]}, "uniform"),
        ({"uniform": [1]}, "uniform"),
        ({"uniform": 5}, "uniform"),
        ({"uniform": {"low": 1, "hihg": 2}}, "uniform"),
        ({"normal": [1, 0]}, "normal"),
        ({"normal": [1, -1]}, "normal"),
        ({"lognormal": [1, 0]}, "lognormal"),
        ({"lognormal": [500, 1]}, "lognormal"),
        ({"lognormal": {"mean": -1, "sd": 1}}, "lognormal"),
        ({"triangular": [1, 5, 4]}, "triangular"),
        ({"triangular": [1, 1, 1]}, "triangular"),
        ({"pert": [1, 0, 4]}, "pert"),
        ({"pert": [1, 2, 4], "shape": 0}, "shape"),
        ({"beta": [0, 1]}, "beta"),
        ({"beta": [1, 1], "low": 2, "high": 2}, "beta"),
        ({"discrete": [[1, 1.0]]}, "discrete"),
        ({"discrete": [[1, 0.5], [2, 0.6]]}, "discrete"),
        ({"discrete": [[1, -0.5], [2, 1.5]]}, "discrete"),
        ({"discrete": [[1, 0.5], [1, 0.5]]}, "discrete"),
        ({"discrete": "x"}, "discrete"),
        ({"interval90": [2, 2]}, "interval90"),
        ({"interval90": [-1, 2], "family": "lognormal"}, "interval90"),
        ({"interval90": [1, 2], "family": "cauchy"}, "family"),
        ({"empirical": [1, 1, 1]}, "empirical"),
        ({"empirical": [1]}, "empirical"),
        ({"normal": [0, 1], "clip": [1, 1]}, "clip"),
        ({"normal": [0, 1], "clip": [100, 101]}, "clip"),
        ({"uniform": [0, 1], "clip": [2, 3]}, "clip"),
        ({"normal": [0, 1], "clip": 3}, "clip"),
        ({"normal": [0, 1], "familly": "x"}, "familly"),
        ({"nrmal": [0, 1]}, "nrmal"),
        ({"normal": [0, 1], "uniform": [0, 1]}, ""),
        ({}, ""),
    ],
)
def test_a_degenerate_distribution_is_refused_with_its_path(dist: dict[str, Any], path: str):
    problem = only(refused(inputs={"a": {"dist": dist}}))
    assert problem.code in {"bad_distribution", "bad_value"}
    assert problem.path.startswith(f"inputs.a.dist{path and '.'}{path}")
