"""How much a run may ask for: a model that a stranger wrote may be small to read and endless to run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from valueverse.errors import RefusalError
from valueverse.value.executor.sampling import uncertain_inputs

if TYPE_CHECKING:
    from collections.abc import Collection

    from valueverse.value.architect import Program, Scenario

MOST_NUMBERS = 5 * 10**10
"""Names x periods x draws x scenarios of a run: some minutes of work."""


@dataclass(frozen=True)
class RunLimits:
    """How much one run may take.

    Attributes:
        numbers: names x periods x draws x scenarios.
        held: numbers of inputs and outputs over all draws, which are held at once.
    """

    numbers: int = MOST_NUMBERS
    held: int = 2**28


ALONE = RunLimits()
"""Of a command, which has the machine to itself."""
SHARED = RunLimits(2 * 10**9, 2**24)
"""Of a process that many ask at once: some seconds of work, some hundred megabytes."""
BLOCK_CELLS = 400_000
"""Draws x periods of one name at once: what fits the processor's cache."""
BLOCK_NUMBERS = 2**24
"""Draws x periods x names at once: more draws or names take longer, not more memory."""
MOST_OF_ONE = 2**26
"""Names x periods x draws of one customer of a portfolio, which each thread holds at once: half a gigabyte."""
SOBOL_DRAWS = 8_192


def block_size(program: Program) -> int:
    """Draws worked out at once. How many they are changes no bit of a result."""
    periods = program.axis.periods
    names = len(program.nodes) + len(program.inputs) + 1
    return min(max(BLOCK_CELLS // periods, 1_024), max(BLOCK_NUMBERS // (periods * names), 1))


def judge_size(program: Program, scenarios: Collection[Scenario], draws: int, most: RunLimits) -> None:
    """Refuse a run that would never end or that no memory holds.

    Raises:
        RefusalError: ``too_large``, with what to ask for less of.
    """
    numbers = 0
    targets = len(program.outputs.targets)
    for scenario in scenarios:
        uncertain = len(uncertain_inputs(program, scenario.overrides))
        if uncertain and draws * (uncertain + targets) > most.held:
            message = (
                f"{uncertain} uncertain inputs and {targets} outputs over {draws} draws are too many to hold: take "
                "fewer draws, or ask for fewer outputs"
            )
            raise RefusalError("too_large", message, "--draws")
        searched = len(program.outputs.sobol) * min(draws, SOBOL_DRAWS) * (uncertain + 2)
        numbers += (draws + searched if uncertain else 1) * program.axis.periods * (len(program.nodes) + 1)
    if numbers > most.numbers:
        message = (
            f"the run would work out {numbers:.1e} numbers (names x periods x draws x scenarios), and "
            f"{most.numbers:.0e} are the most: take fewer draws, one scenario, fewer periods, or no sobol"
        )
        raise RefusalError("too_large", message, "--draws")


def judge_portfolio(program: Program, scenarios: Collection[Scenario], customers: int, draws: int) -> None:
    """Refuse a portfolio that would never end, or of which one customer's draws fill the memory.

    Raises:
        RefusalError: ``too_large``, with what to ask for less of.
    """
    uncertain = sum(bool(uncertain_inputs(program, scenario.overrides)) for scenario in scenarios)
    numbers = program.axis.periods * (len(program.nodes) + len(program.inputs)) * draws
    if uncertain and (numbers > MOST_OF_ONE or numbers * uncertain * customers > MOST_NUMBERS):
        message = (
            f"{numbers:.1e} numbers (names x periods x draws) for each of {customers} customers in {uncertain} "
            "scenarios are too many: take fewer draws, one scenario, or fewer periods"
        )
        raise RefusalError("too_large", message, "--draws")
