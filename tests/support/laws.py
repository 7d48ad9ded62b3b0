"""How many examples a property test draws."""

from __future__ import annotations

import os

from hypothesis import settings

SHARE = float(os.environ.get("VALUEVERSE_EXAMPLES", "0.2"))
"""Of the examples that a test names: all with 1, ten times as many with 10."""
_FEWEST = 4


def law(examples: int) -> settings:
    """Settings of a property test that draws this many examples, or a share of them; no deadline."""
    return settings(deadline=None, max_examples=max(_FEWEST, round(examples * SHARE)))
