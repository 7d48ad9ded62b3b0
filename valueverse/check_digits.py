"""Check digits of numbers that people copy: what a mistyped or invented number fails."""

from __future__ import annotations


def luhn_holds(digits: str) -> bool:
    """Whether the last of these digits (0 to 9 alone) is the check digit of the others (Luhn, ISO/IEC 7812-1 annex B).

    Of numbers at random one in ten holds; zeros alone hold too.
    """
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits)))
    return sum(number // 10 + number % 10 for number in doubled) % 10 == 0
