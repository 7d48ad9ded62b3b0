"""Mutation testing of the modules that compute money: draws mutants, has mutmut try them, prints the score.

    python -m tests.mutation --sample 300    # --sample all: every mutant

Half of the sample is spread evenly over the modules and half by their size, so that small modules get a score too; the
score in all weighs each module by its size. ``[tool.mutmut]`` says which code and which tests take part. Run it again
after adding a test: what was found out stays so until its function changes, only the rest is tried again.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
from math import sqrt
from pathlib import Path

from mutmut.__main__ import copy_also_copy_files, copy_src_dir, create_mutants
from mutmut.mutation.data import SourceFileMutationData
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import walk_mutatable_files

MUTMUT = str(Path(sys.executable).with_name("mutmut"))
FOUND = {"killed", "timeout", "segfault"}
"""Verdicts that count as found out: a test failed, or the mutant ran for ever or crashed."""
DEVIATIONS = 1.96
"""Standard deviations that hold 95 % of a normal distribution."""

Verdicts = dict[str, dict[str, str]]
"""What mutmut knows of every mutant: verdict by name, by module."""


def verdicts() -> Verdicts:
    """Read mutmut's notes; a module is the part of ``valueverse`` that a mutant is in."""
    by_module: Verdicts = {}
    for path in sorted(walk_mutatable_files()):
        notes = SourceFileMutationData(path=path)
        notes.load()
        found = {name: status_by_exit_code[code] for name, code in notes.exit_code_by_key.items()}
        by_module.setdefault(path.parts[1].removesuffix(".py"), {}).update(found)
    return by_module


def drawn(by_module: Verdicts, size: int, seed: int) -> set[str]:
    """About ``size`` mutants: the same for the same code and seed, and all of them in every larger sample."""
    everything = sum(map(len, by_module.values()))
    names: set[str] = set()
    for module, mutants in by_module.items():
        share = size / 2 / len(by_module) + size / 2 * len(mutants) / everything
        order = sorted(mutants)
        random.Random(f"{seed} {module}").shuffle(order)
        names.update(order[: round(share)])
    return names


def tried(names: set[str], children: int) -> Verdicts:
    """Have mutmut try what is not found out yet."""
    todo = {name for found in verdicts().values() for name, verdict in found.items() if verdict not in FOUND} & names
    while todo:
        all_examples = {**os.environ, "VALUEVERSE_EXAMPLES": "1"}
        subprocess.run([MUTMUT, "run", "--max-children", str(children), *sorted(todo)], check=True, env=all_examples)
        # mutmut forgets its verdicts where its settings have changed.
        todo = {name for found in verdicts().values() for name, verdict in found.items() if verdict == "not checked"}
        todo &= names
    return verdicts()


def wilson(share: float, size: float) -> tuple[float, float]:
    """95 % interval of a share that was seen in a sample (E. B. Wilson, 1927)."""
    square = DEVIATIONS**2
    centre = (share + square / 2 / size) / (1 + square / size)
    spread = DEVIATIONS / (1 + square / size) * sqrt(share * (1 - share) / size + square / 4 / size**2)
    return centre - spread, centre + spread


def report(by_module: Verdicts, names: set[str]) -> None:
    """Print score and interval of each module and in all, and the mutants that no test noticed."""
    everything = sum(map(len, by_module.values()))
    score, variance, seen = 0.0, 0.0, 0
    print(f"\n{'module':<15}{'mutants':>8}{'tried':>7}{'found':>7}   score   95 % interval")
    for module, found in sorted(by_module.items()):
        mine = names.intersection(found)
        killed = sum(found[name] in FOUND for name in mine)
        share, weight = killed / len(mine), len(found) / everything
        score += weight * share
        variance += weight**2 * share * (1 - share) / len(mine)
        seen += killed
        print(f"{module:<15}{len(found):>8}{len(mine):>7}{killed:>7}  {_percent(share, len(mine))}")
    # So many mutants, drawn regardless of their module, would give the same precision.
    worth = score * (1 - score) / variance if variance else len(names)
    print(f"{'in all':<15}{everything:>8}{len(names):>7}{seen:>7}  {_percent(score, worth)}")
    missed = [(verdict, name) for found in by_module.values() for name, verdict in found.items() if name in names]
    print("\nNot found out (`mutmut show NAME` prints the change):")
    print(*sorted(f"  {verdict:<10} {name}" for verdict, name in missed if verdict not in FOUND), sep="\n")


def _percent(share: float, size: float) -> str:
    low, high = wilson(share, size)
    return f"{share:6.1%}   {low:.1%} to {high:.1%}"


def main() -> None:
    """Make the mutants, draw, try, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", default="300")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--children", type=int, default=2)
    asked = parser.parse_args()
    copy_src_dir()
    copy_also_copy_files()
    create_mutants(asked.children)
    by_module = verdicts()
    every = {name for found in by_module.values() for name in found}
    names = every if asked.sample == "all" else drawn(by_module, int(asked.sample), asked.seed)
    report(tried(names, asked.children), names)


if __name__ == "__main__":
    main()
