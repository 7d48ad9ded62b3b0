"""``python -m tests.kill_loop``: kill -9 at random moments of every stage, of Postgres and of Valkey; print figures."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from tests.support.kills import Loop, planned


def main() -> int:
    """0 if nothing differs and nobody saw a traceback."""
    parser = argparse.ArgumentParser(prog="python -m tests.kill_loop", description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, nargs="*", help="numbers of the rounds to make, from 1; all if left out")
    chosen = parser.parse_args()
    numbered = list(enumerate(planned(chosen.rounds, chosen.seed), 1))
    kills = [(number, kill) for number, kill in numbered if not chosen.only or number in chosen.only]
    folder = Path(tempfile.mkdtemp(prefix="vv-kills-"))
    loop = Loop(folder, [kill for _, kill in kills])
    try:
        loop.prepare()
        for number, kill in kills:
            wrong = loop.round(kill)
            print(f"{number:>3} {loop.figures.rounds[-1]:5.0f} s  {kill} {'DIFFERS' if wrong else 'equal'}", flush=True)
    finally:
        loop.place.down()
        shutil.rmtree(folder, ignore_errors=True)
    for (stage, victim), times in sorted(loop.figures.kills.items()):
        print(f"{times:>3}  {stage:<14} {victim}")
    print(f"{loop.figures.kills.total()} kills, {loop.figures.early} after the end of the run, seed {chosen.seed}")
    for title, found in (("differences", loop.figures.differences), ("tracebacks", loop.figures.tracebacks)):
        print(f"{len(found)} {title}", *found, sep="\n  ")
    return int(bool(loop.figures.differences or loop.figures.tracebacks))


if __name__ == "__main__":
    sys.exit(main())
