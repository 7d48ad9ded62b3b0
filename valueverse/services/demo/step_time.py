"""How long a step of the demonstration took."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StepTime:
    """A step, what it did, and the seconds that it took."""

    step: str
    what: str
    seconds: float
