"""Uncertain numbers as a document writes them, reduced to few families; degenerate ones are refused.

A distribution is a mapping with one family and, beside it, ``clip: [low, high]`` and the family's options. Parameters
stand in a list in this order or in a mapping by these names.
"""

from __future__ import annotations

from dataclasses import replace
from math import log, log1p, sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from valueverse.documents import wrong
from valueverse.errors import did_you_mean
from valueverse.value.architect.document.numbers import number_from, numbers_from
from valueverse.value.architect.program_ir import Distribution

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic_core import PydanticCustomError

MAX_SAMPLE = 10_000
_Z95 = NormalDist().inv_cdf(0.95)
_LARGEST_LOG = 200.0
"""exp of a draw 8 sigma out stays a float that can still be multiplied."""
_LIKELY = 1e-9

PARAMETERS: Mapping[str, tuple[str, ...]] = {
    "uniform": ("low", "high"),
    "normal": ("mean", "sd"),
    "lognormal": ("mu", "sigma"),
    "triangular": ("low", "mode", "high"),
    "pert": ("low", "mode", "high"),
    "beta": ("alpha", "beta"),
    "interval90": ("low", "high"),
    "discrete": ("values", "probabilities"),
    "empirical": ("values",),
}
OPTIONS: Mapping[str, tuple[str, ...]] = {"interval90": ("family",), "pert": ("shape",), "beta": ("low", "high")}


def bad(message: str, field: str = "", suggestion: str | None = None) -> PydanticCustomError:
    """``bad_distribution`` at ``field``."""
    return wrong(message, field, code="bad_distribution", suggestion=suggestion)


def read_distribution(value: object) -> tuple[dict[str, Any], Distribution]:
    """The distribution a document states: as it is stored (numbers as floats), and reduced.

    Raises:
        PydanticCustomError: ``bad_distribution``, with the field.
    """
    if not isinstance(value, dict):
        raise bad("a distribution is a mapping such as {normal: [100, 15]} or {pert: [8, 11, 15], clip: [0, 20]}")
    families = [name for name in value if name in PARAMETERS]
    if len(families) != 1:
        unknown = [str(name) for name in value if name not in {"clip", "family", "shape", "low", "high"}]
        if not families and unknown:
            hint = did_you_mean(unknown[0], PARAMETERS)
            raise bad(f"unknown distribution {unknown[0]!r}{hint.ending}", unknown[0], hint.name)
        raise bad(f"one distribution is expected, one of {', '.join(PARAMETERS)}")
    family = families[0]
    options = OPTIONS.get(family, ())
    for name in value:
        if name not in {family, "clip", *options}:
            hint = did_you_mean(str(name), {"clip", *options})
            raise bad(f"unknown field {name!r}{hint.ending}", str(name), hint.name)
    stored = {family: _READERS[family](value[family], family)}
    for option in options:
        if option in value:
            stored[option] = value[option] if option == "family" else number_from(value[option], option)
    found = _REDUCED[family](stored[family], stored)
    if value.get("clip") is not None:
        stored["clip"] = _clip(value["clip"])
        found = replace(found, clip=tuple(stored["clip"]))
    _reachable(found)
    return stored, replace(found, written=family)


def distribution_of(stored: dict[str, Any]) -> Distribution:
    """The distribution of a mapping that ``read_distribution`` has taken."""
    return read_distribution(stored)[1]


def _by_place(value: object, family: str) -> list[float] | dict[str, float]:
    names = PARAMETERS[family]
    allowed = [names, ("mean", "sd")] if family == "lognormal" else [names]
    if isinstance(value, dict):
        for wanted in allowed:
            if set(value) == set(wanted):
                return {name: number_from(value[name], f"{family}.{name}") for name in wanted}
        raise bad(f"{family} takes {' or '.join('{' + ', '.join(one) + '}' for one in allowed)}", family)
    return numbers_from(value, (len(names), len(names)), family, f"{family}: [{', '.join(names)}]")


def _numbers(parameters: list[float] | dict[str, float]) -> list[float]:
    return list(parameters.values()) if isinstance(parameters, dict) else parameters


def _ordered(low: float, high: float, family: str) -> None:
    if not low < high:
        raise bad(f"{family} needs low < high, not {low:g} and {high:g}; for a certain number write value", family)


def _uniform(parameters: Any, _: dict[str, Any]) -> Distribution:
    low, high = _numbers(parameters)
    _ordered(low, high, "uniform")
    return Distribution("uniform", (low, high))


def _normal_of(mean: float, deviation: float, family: str) -> Distribution:
    if not deviation > 0:
        raise bad(
            f"{family} needs a standard deviation above 0, not {deviation:g}; for a certain number write value", family
        )
    return Distribution("normal", (mean, deviation))


def _normal(parameters: Any, _: dict[str, Any]) -> Distribution:
    mean, deviation = _numbers(parameters)
    return _normal_of(mean, deviation, "normal")


def _lognormal_of(mu: float, sigma: float, family: str) -> Distribution:
    if not sigma > 0:
        raise bad(f"{family} needs sigma above 0, not {sigma:g}; for a certain number write value", family)
    if abs(mu) + 8 * sigma > _LARGEST_LOG:
        raise bad(
            f"{family} with mu {mu:g} and sigma {sigma:g} runs out of range; they are those of the logarithm", family
        )
    return Distribution("lognormal", (mu, sigma))


def _lognormal(parameters: Any, _: dict[str, Any]) -> Distribution:
    if isinstance(parameters, dict) and "mean" in parameters:
        mean, deviation = parameters["mean"], parameters["sd"]
        if not (mean > 0 and deviation > 0):
            raise bad(f"lognormal needs mean and sd above 0, not {mean:g} and {deviation:g}", "lognormal")
        variance = log1p((deviation / mean) ** 2)
        return _lognormal_of(log(mean) - variance / 2, sqrt(variance), "lognormal")
    mu, sigma = _numbers(parameters)
    return _lognormal_of(mu, sigma, "lognormal")


def _triangular(parameters: Any, _: dict[str, Any]) -> Distribution:
    low, mode, high = _peaked(parameters, "triangular")
    return Distribution("triangular", (low, mode, high))


def _peaked(parameters: Any, family: str) -> tuple[float, float, float]:
    low, mode, high = _numbers(parameters)
    _ordered(low, high, family)
    if not low <= mode <= high:
        raise bad(f"{family} needs low <= mode <= high, not {low:g}, {mode:g}, {high:g}", family)
    return low, mode, high


def _pert(parameters: Any, stored: dict[str, Any]) -> Distribution:
    low, mode, high = _peaked(parameters, "pert")
    shape = stored.get("shape", 4.0)
    if not 0 < shape <= 1000:
        raise bad(f"pert needs a shape above 0 and up to 1000, not {shape:g}", "shape")
    rise = shape * (mode - low) / (high - low)
    fall = shape * (high - mode) / (high - low)
    return Distribution("beta", (1 + rise, 1 + fall, low, high))


def _beta(parameters: Any, stored: dict[str, Any]) -> Distribution:
    alpha, beta = _numbers(parameters)
    low, high = stored.get("low", 0.0), stored.get("high", 1.0)
    if not (0 < alpha <= 1e6 and 0 < beta <= 1e6):
        raise bad(f"beta needs alpha and beta above 0 and up to 10^6, not {alpha:g} and {beta:g}", "beta")
    _ordered(low, high, "beta")
    return Distribution("beta", (alpha, beta, low, high))


def _interval90(parameters: Any, stored: dict[str, Any]) -> Distribution:
    low, high = _numbers(parameters)
    _ordered(low, high, "interval90")
    family = stored.get("family", "normal")
    if family == "normal":
        return _normal_of((low + high) / 2, (high - low) / (2 * _Z95), "interval90")
    if family != "lognormal":
        raise bad(f"the family of interval90 is normal or lognormal, not {str(family)[:40]!r}", "family")
    if not low > 0:
        raise bad(f"a lognormal interval90 needs low above 0, not {low:g}; take family: normal", "interval90")
    return _lognormal_of((log(low) + log(high)) / 2, (log(high) - log(low)) / (2 * _Z95), "interval90")


def _weighted(value: object, family: str) -> dict[str, list[float]]:
    """Values with probabilities: {values, probabilities}, a list of pairs, or {value: probability}."""
    if isinstance(value, dict) and set(value) == {"values", "probabilities"}:
        values = numbers_from(value["values"], (2, MAX_SAMPLE), f"{family}.values")
        weights = numbers_from(value["probabilities"], (len(values), len(values)), f"{family}.probabilities")
    elif isinstance(value, dict):
        values = [number_from(one, family) for one in value]
        weights = [number_from(one, f"{family}.{name}") for name, one in value.items()]
    elif isinstance(value, list) and all(isinstance(pair, list) for pair in value):
        pairs = [numbers_from(pair, (2, 2), f"{family}[{index}]") for index, pair in enumerate(value)]
        values, weights = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    else:
        raise bad("discrete takes {values: [..], probabilities: [..]}, or pairs [[value, probability], ..]", family)
    return {"values": values, "probabilities": weights}


def _discrete(parameters: Any, _: dict[str, Any]) -> Distribution:
    values, weights = parameters["values"], parameters["probabilities"]
    if any(weight < 0 for weight in weights) or abs(sum(weights) - 1) > 1e-9:
        raise bad(f"the probabilities of discrete are at least 0 and add up to 1, not to {sum(weights):g}", "discrete")
    if len(set(values)) < len(values):
        raise bad("a value of discrete stands there twice; add the probabilities up", "discrete")
    positive = sorted((value, weight) for value, weight in zip(values, weights, strict=True) if weight > 0)
    if len(positive) < 2 or len(positive) > MAX_SAMPLE:
        raise bad("discrete needs two values with a probability above 0; for a certain number write value", "discrete")
    return Distribution("discrete", tuple(value for value, _ in positive), tuple(weight for _, weight in positive))


def _sample(value: object, family: str) -> list[float]:
    inside = value["values"] if isinstance(value, dict) and set(value) == {"values"} else value
    return numbers_from(inside, (2, MAX_SAMPLE), family, "the values observed")


def _empirical(parameters: Any, _: dict[str, Any]) -> Distribution:
    if len(set(parameters)) < 2:
        raise bad("empirical needs two values that differ; for a certain number write value", "empirical")
    return Distribution("empirical", tuple(sorted(parameters)))


def _clip(value: object) -> list[float | None]:
    if not isinstance(value, list) or len(value) != 2:
        raise bad("clip is [low, high]; null leaves a side open", "clip")
    low, high = (None if one is None else number_from(one, f"clip[{index}]") for index, one in enumerate(value))
    if low is not None and high is not None and not low < high:
        raise bad(f"clip needs low < high, not {low:g} and {high:g}", "clip")
    return [low, high]


def _reachable(found: Distribution) -> None:
    """A clip that moves every draw to one bound leaves a certain number."""
    low, high = found.clip
    share_below = 0.0 if low is None else _share_below(found, low)
    share_above = 0.0 if high is None else 1 - _share_below(found, high)
    if share_below > 1 - _LIKELY or share_above > 1 - _LIKELY:
        raise bad("clip leaves nothing of the distribution but one of its bounds; write value instead", "clip")


def _share_below(found: Distribution, bound: float) -> float:
    """Probability of a draw <= ``bound``; for bounded families only whether it is 0, 1 or between."""
    parameters = found.parameters
    if found.family == "normal":
        return NormalDist(*parameters).cdf(bound)
    if found.family == "lognormal":
        return NormalDist(*parameters).cdf(log(bound)) if bound > 0 else 0.0
    ends = parameters[2:] if found.family == "beta" else (parameters[0], parameters[-1])
    return 0.0 if bound <= ends[0] else 1.0 if bound >= ends[1] else 0.5


_READERS: dict[str, Any] = {
    **dict.fromkeys(("uniform", "normal", "lognormal", "triangular", "pert", "beta", "interval90"), _by_place),
    "discrete": _weighted,
    "empirical": _sample,
}
_REDUCED: dict[str, Any] = {
    "uniform": _uniform, "normal": _normal, "lognormal": _lognormal, "triangular": _triangular, "pert": _pert,
    "beta": _beta, "interval90": _interval90, "discrete": _discrete, "empirical": _empirical,
}  # fmt: skip
