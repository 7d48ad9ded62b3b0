"""Bounds on work that neither the machine nor its load decides: counted in units of a fixed piece of work."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_STEPS = 1_000_000


@contextmanager
def at_most(units: float) -> Iterator[None]:
    """The work inside takes at most as much processor time as ``units`` loops of a million additions.

    Processor time does not pass while others run, and a slow machine is slow at the yardstick too. A loop takes some
    hundredths of a second: bounds are wide, for what they are to notice takes a thousand times as long, or no end.
    """
    before = _yardstick()
    began = time.process_time()
    yield
    spent = time.process_time() - began
    assert spent <= units * max(before, _yardstick())


def _yardstick() -> float:
    began = time.process_time()
    total = 0
    for number in range(_STEPS):
        total += number
    return time.process_time() - began
