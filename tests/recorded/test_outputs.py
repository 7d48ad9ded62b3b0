"""Nothing that a command answers changes by accident."""

from __future__ import annotations

from tests.recorded.outputs import differences


def test_simulate_and_the_calculators_answer_byte_for_byte_what_was_recorded() -> None:
    assert differences() == []
