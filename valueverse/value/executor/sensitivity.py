"""Which inputs matter: tornado (one at a time) and Sobol indices with bootstrap intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from valueverse.value.executor.sampling import points

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Model = Callable[[Floats], Floats]
    """Points (draws x dimensions, uniform) -> one output per draw."""

LOW, HIGH = 0.05, 0.95
BOOTSTRAPS = 100
_CONFIDENCE = 0.95
_ROUNDING = 1e-14


def tornado(names: Sequence[str], at: Callable[[str, float], tuple[float, float | None]]) -> list[dict[str, Any]]:
    """One row per input, the widest swing first.

    Args:
        names: uncertain inputs.
        at: input value and output with that input at a percentile (a fraction) and all others at their means; None
            where the output does not exist there, and then there is no swing: such rows come last.
    """
    rows = []
    for name in names:
        (low, at_low), (high, at_high) = at(name, LOW), at(name, HIGH)
        rows.append(
            {
                "input": name,
                "low_input": low,
                "high_input": high,
                "low": at_low,
                "high": at_high,
                "swing": None if at_low is None or at_high is None else abs(at_high - at_low),
            }
        )
    return sorted(rows, key=lambda row: (row["swing"] is None, -(row["swing"] or 0.0), row["input"]))


def sobol_indices(names: Sequence[str], model: Model, draws: int, seed: int) -> dict[str, Any]:
    """First-order (Saltelli 2010) and total (Jansen 1999) indices with 95 % bootstrap intervals.

    Args:
        names: uncertain inputs, one dimension each, independent.
        model: output of a block of points.
        draws: base sample, a power of two; the model is run draws x (dimensions + 2) times.
        seed: of points and bootstrap.

    Returns:
        S1, ST: index by name; intervals: {S1: {name: [low, high]}, ST: ...}; all None with a status: ``no_variance``
        where the output does not vary, ``missing`` where some draws have none.
    """
    dimensions = len(names)
    both = points(2 * dimensions, draws, seed, stream=1_000)
    first, second = both[:, :dimensions], both[:, dimensions:]
    base, other = model(first), model(second)
    mixed = np.empty((dimensions, draws))
    for place in range(dimensions):
        crossed = first.copy()
        crossed[:, place] = second[:, place]
        mixed[place] = model(crossed)
    status = _why_none(base, other, mixed)
    if status:
        nothing = dict.fromkeys(names)
        return {"S1": nothing, "ST": nothing, "intervals": None, "status": status}
    # Centred and scaled, or a large mean would drown the products in rounding and a large spread overflow them.
    centre = 0.5 * (base.mean() + other.mean())
    scale = max(np.abs(base - centre).max(), np.abs(other - centre).max())
    base, other, mixed = (base - centre) / scale, (other - centre) / scale, (mixed - centre) / scale
    s1, st = _indices(base, other, mixed)
    rng = np.random.default_rng([seed, 2_000])
    low, high = _bootstrapped(base, other, mixed, rng)
    return {
        "S1": dict(zip(names, s1.tolist(), strict=True)),
        "ST": dict(zip(names, st.tolist(), strict=True)),
        "intervals": {
            kind: {name: [float(low[row][place]), float(high[row][place])] for place, name in enumerate(names)}
            for row, kind in enumerate(("S1", "ST"))
        },
    }


def _why_none(base: Floats, other: Floats, mixed: Floats) -> str | None:
    """Why there are no indices; None: there are."""
    if not (np.isfinite(base).all() and np.isfinite(other).all() and np.isfinite(mixed).all()):
        return "missing"
    both = np.concatenate([base, other])
    # What varies by less than its own rounding does not vary.
    return "no_variance" if np.ptp(both) <= _ROUNDING * np.abs(both).max() else None


def _indices(base: Floats, other: Floats, mixed: Floats) -> tuple[Floats, Floats]:
    centre = 0.5 * (base.mean() + other.mean())
    variance = 0.5 * (np.mean((base - centre) ** 2) + np.mean((other - centre) ** 2))
    first = np.mean((other - centre) * (mixed - base), axis=1) / variance
    total = 0.5 * np.mean((base - mixed) ** 2, axis=1) / variance
    return first, total


def _bootstrapped(base: Floats, other: Floats, mixed: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Percentile intervals by resampling draws: weights instead of copies, so one product does them all.

    ``einsum`` and no matrix product, whose sums depend on how many threads share it.
    """
    draws = len(base)
    counts = np.stack([np.bincount(rng.integers(0, draws, draws), minlength=draws) for _ in range(BOOTSTRAPS)])
    weights = counts / draws
    centre = np.einsum("bn,n->b", weights, 0.5 * (base + other))
    square = np.einsum("bn,n->b", weights, 0.5 * (base**2 + other**2)) - centre**2
    step = mixed - base
    product = np.einsum("bn,dn->bd", weights, other * step) - centre[:, None] * np.einsum("bn,dn->bd", weights, step)
    first = product / square[:, None]
    total = 0.5 * np.einsum("bn,dn->bd", weights, step**2) / square[:, None]
    edge = (1 - _CONFIDENCE) / 2
    both = np.stack([first, total])
    low: Floats = np.quantile(both, edge, axis=1)
    high: Floats = np.quantile(both, 1 - edge, axis=1)
    return low, high
