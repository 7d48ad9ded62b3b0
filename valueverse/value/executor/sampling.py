"""Draws of uncertain inputs: inverse distribution functions on scrambled Sobol points, correlated by a Gaussian copula.

One dimension per input name, in the order of the names; the same points in every scenario and for every customer, so
that differences between them are not noise. All draws are one net, which is far more exact than several smaller ones of
as many points; eight small replicates, scrambled independently, give error bars.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from scipy import special

from valueverse.value.architect import Distribution

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from valueverse.value.architect import Correlation, Program, Source

    Floats = NDArray[np.float64]

REPLICATES = 8
_SHARE, _LARGEST, _SMALLEST = 64, 1_024, 8
"""A replicate is as large as a 64th of the draws, within bounds: an error bar may cost an eighth of the work."""
_SLICES, _WORTH_SLICING = 8, 2**16
"""Parts of a net that threads fill side by side, and from how many draws on: each part scrambles again."""
_EDGE = 2.0**-53
_FINE = 2**14
"""Points at which the mean of a clipped distribution is taken."""


def uncertain_inputs(program: Program, sources: Mapping[str, Source] | None = None) -> tuple[str, ...]:
    """Names of the inputs with a distribution, in the order of their dimensions."""
    found = {one.name: one.source for one in program.inputs} | dict(sources or {})
    return tuple(sorted(name for name, source in found.items() if isinstance(source, Distribution)))


def points(dimensions: int, draws: int, seed: int, stream: int = 0, skip: int = 0) -> Floats:
    """draws x dimensions points in (0, 1), the same for the same arguments on every machine.

    Args:
        dimensions: of the unit cube.
        draws: a power of two.
        seed: of the scrambling.
        stream: another number gives independent points.
        skip: points of the net that come before, a multiple of ``draws``.
    """
    if not dimensions:
        return np.empty((draws, 0))
    from scipy.stats import qmc  # slow to import, and commands that draw nothing come this way too

    engine = qmc.Sobol(dimensions, scramble=True, rng=np.random.default_rng([seed, stream]))
    if skip:
        engine.fast_forward(skip)
    found: Floats = engine.random(draws)
    np.clip(found, _EDGE, 1 - _EDGE, out=found)
    return found


def net(dimensions: int, draws: int, seed: int) -> Floats:
    """All points of one net."""
    return _filled(dimensions, _slices(draws), seed)


def net_and_replicates(dimensions: int, draws: int, seed: int) -> Floats:
    """``net``, and below it REPLICATES nets of ``replicate_size`` points each."""
    size = replicate_size(draws)
    replicates = [(size, stream, 0) for stream in range(1, REPLICATES + 1)] if size else []
    return _filled(dimensions, [*_slices(draws), *replicates], seed)


def replicate_size(draws: int) -> int:
    """Points of a replicate; 0: there are too few draws for an error bar."""
    size = min(draws // _SHARE, _LARGEST)
    return size if size >= _SMALLEST else 0


def standard_error(replicated: Floats, draws: int) -> float | None:
    """Of a mean over ``draws``, from the same number over the replicates; None where one of them has none.

    The error of a net falls at least as fast as that of random numbers, with the root of its points, so that this is
    an upper bound: of smooth outputs the mean is far more exact.
    """
    if not len(replicated) or not np.isfinite(replicated).all():
        return None
    means = replicated.reshape(REPLICATES, -1).mean(axis=1)
    return float(means.std(ddof=1) * math.sqrt(replicate_size(draws) / draws))


def _slices(draws: int) -> list[tuple[int, int, int]]:
    """Size, stream and skip of the parts of one net."""
    size = draws // _SLICES if draws >= _WORTH_SLICING else draws
    return [(size, 0, skip) for skip in range(0, draws, size)]


def _filled(dimensions: int, parts: Sequence[tuple[int, int, int]], seed: int) -> Floats:
    """Parts of nets, one after the other."""
    starts = [0, *accumulate(size for size, _, _ in parts)]
    # One input's draws lie side by side: each is turned into a distribution of its own.
    found = np.empty((dimensions, starts[-1])).T

    def fill(place: int) -> None:
        size, stream, skip = parts[place]
        found[starts[place] : starts[place + 1]] = points(dimensions, size, seed, stream, skip)

    with ThreadPoolExecutor(pl.thread_pool_size()) as threads:
        list(threads.map(fill, range(len(parts))))
    return found


def correlated(uniform: Floats, names: Sequence[str], correlations: Sequence[Correlation]) -> Floats:
    """Points whose marginals stay uniform and whose normal scores have the correlations asked for."""
    if not correlations:
        return uniform
    found = uniform.copy(order="K")
    places = {name: place for place, name in enumerate(names)}
    for group in correlations:
        columns = [places[name] for name in group.names if name in places]
        if len(columns) < len(group.names):
            continue  # A scenario has fixed one of them: the rest is drawn independently.
        factor = _cholesky(np.array(group.matrix))
        scores = [special.ndtri(uniform[:, column]) for column in columns]
        for row, column in enumerate(columns):
            # Added up one by one: the sums of a matrix product depend on how many threads share it.
            mixed = factor[row, 0] * scores[0]
            for place in range(1, row + 1):
                mixed = mixed + factor[row, place] * scores[place]
            found[:, column] = np.clip(special.ndtr(mixed), _EDGE, 1 - _EDGE)
    return found


def _cholesky(matrix: Floats) -> Floats:
    """The lower triangular root of a positive definite matrix, in a fixed order of sums."""
    factor = np.zeros_like(matrix)
    for place in range(len(matrix)):
        left = factor[place:, :place]
        column = matrix[place:, place] - np.sum(left * left[:1], axis=1)
        factor[place:, place] = column / math.sqrt(column[0])
    return factor


def quantiles(distribution: Distribution, probabilities: Floats) -> Floats:
    """The inverse distribution function, clipped as the distribution says."""
    low, high = distribution.clip
    found = _raw_quantiles(distribution, probabilities)
    if low is not None or high is not None:
        found = np.clip(found, low, high)
    return np.asarray(found, dtype=np.float64)


def _raw_quantiles(distribution: Distribution, p: Floats) -> Floats:
    parameters = distribution.parameters
    match distribution.family:
        case "uniform":
            low, high = parameters
            found = low + (high - low) * p
        case "normal":
            found = parameters[0] + parameters[1] * special.ndtri(p)
        case "lognormal":
            found = np.exp(parameters[0] + parameters[1] * special.ndtri(p))
        case "triangular":
            found = _triangular(p, *parameters)
        case "beta":
            alpha, beta, low, high = parameters
            found = low + (high - low) * special.betaincinv(alpha, beta, p)
        case "discrete":
            edges = np.cumsum(distribution.weights)
            found = np.array(parameters)[np.minimum(np.searchsorted(edges, p, side="left"), len(parameters) - 1)]
        case _:
            sample = np.array(parameters)
            # Each value is as likely as any other, so that the draws have the sample's mean.
            found = sample[np.minimum((p * len(sample)).astype(np.int64), len(sample) - 1)]
    return np.asarray(found)


def _triangular(p: Floats, low: float, mode: float, high: float) -> Floats:
    turn = (mode - low) / (high - low)
    rising = low + np.sqrt(p * (high - low) * (mode - low))
    falling = high - np.sqrt((1 - p) * (high - low) * (high - mode))
    return np.asarray(np.where(p < turn, rising, falling))


def expected_value(distribution: Distribution) -> float:  # noqa: PLR0911 - one per family
    """Expected value; of clipped distributions by the midpoints of 16,384 slices."""
    parameters = distribution.parameters
    if distribution.clip == (None, None):
        match distribution.family:
            case "uniform":
                return 0.5 * (parameters[0] + parameters[1])
            case "normal":
                return parameters[0]
            case "lognormal":
                return float(np.exp(parameters[0] + 0.5 * parameters[1] ** 2))
            case "triangular":
                return sum(parameters) / 3
            case "beta":
                alpha, beta, low, high = parameters
                return low + (high - low) * alpha / (alpha + beta)
            case "discrete":
                pairs = zip(parameters, distribution.weights, strict=True)
                return float(sum(value * weight for value, weight in pairs))
            case _:
                return math.fsum(parameters) / len(parameters)
    middles = (np.arange(_FINE) + 0.5) / _FINE
    return float(np.mean(quantiles(distribution, middles)))
