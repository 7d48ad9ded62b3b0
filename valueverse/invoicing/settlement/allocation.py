"""Splitting whole minor units by largest remainder, exactly: the parts always add up (billing.md, Numbers).

``valueverse.money.largest_remainder`` is the same rule over frames of 18 decimals. Here shares are fractions of whole
numbers, so that even a remainder that 18 decimals cannot distinguish decides correctly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def largest_remainder(total: int, shares: Sequence[int], denominator: int) -> list[int]:
    """Whole parts that add up to ``total``, each next to ``share / denominator``; the earlier share wins a tie.

    Args:
        total: what the parts add up to; between the sum of the shares rounded down and that sum plus one per share
            that is not whole.
        shares: numerators, either sign.
        denominator: of every share, above 0.
    """
    parts = [share // denominator for share in shares]
    by_remainder = sorted(range(len(shares)), key=lambda place: -(shares[place] % denominator))
    for place in by_remainder[: total - sum(parts)]:
        parts[place] += 1
    return parts


def pro_rata(total: int, weights: Sequence[int]) -> list[int]:
    """``total`` spread over weights of at least 0; where it is at most their sum, no part exceeds its weight."""
    return (
        largest_remainder(total, [total * weight for weight in weights], sum(weights)) if total else [0] * len(weights)
    )


def deduct_pro_rata(want: int, left: list[int], eligible: Sequence[int]) -> int:
    """Lower ``left`` by up to ``want``, pro rata over the eligible places, and give what was taken.

    A place is never lowered below 0, and all of them together not either: what is negative among them (a correction)
    reduces what there is to take, and is not taken from.
    """
    taken = max(0, min(want, sum(left[place] for place in eligible)))
    positive = [place for place in eligible if left[place] > 0]
    for place, part in zip(positive, pro_rata(taken, [left[place] for place in positive]), strict=True):
        left[place] -= part
    return taken
