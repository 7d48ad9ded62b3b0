"""Kill -9 of runs and servers, one run afterwards, and a comparison with the state that nobody disturbed."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.support.kill_world import TENANTS, Installation, catalog, deliveries
from valueverse.platform.servers import processes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.forks import Forked

STAGES = ("ingestion", "usage", "billing", "value", "release", "marts")
RERATE = "rerate apply"
VICTIMS = ("group", "alone", "postgres", "valkey", "postgres and group", "second writer", "both writers")
"""What is killed.

``group``: the run with its dbt. ``alone``: the run; a dbt that it began goes on, and the next run meets it.
``postgres``: the server; the run ends by itself. ``valkey``, ``postgres and group``: the server and the run at once.
``second writer``: the run, while a run of the same stage as the daemon would start it goes on. ``both writers``: both.
"""
_WAIT = 1800
"""Seconds that a run may take: a guard against one that hangs, many times what a busy machine needs."""
_BESIDE = {
    "usage": ("2023-12-01", "2023-12-31"),
    # The month that the undisturbed run decides: no other one is released.
    "release": ("2023-12-01", "2023-12-01"),
    "ingestion": ("", ""),
    "marts": ("", ""),
}
_MONTHS = ("2023-12-01", "2024-01-01")


@dataclass(frozen=True)
class Kill:
    """One round: what is killed, in which delivery and stage, and when.

    Attributes:
        moment: share of the time that the undisturbed stage took, from its beginning on.
        point: instead of a moment, where the run kills itself (``tests.support.kill_child``).
    """

    victim: str
    delivery: int
    stage: str
    moment: float = 0.0
    point: str = ""


@dataclass
class Figures:
    """What a loop did and found.

    Attributes:
        kills: by (stage, victim).
        early: kills that came when the run had ended.
        rounds: seconds of each round.
        differences: what differed from the undisturbed state after a round.
        tracebacks: what a person would have seen of one.
    """

    kills: Counter[tuple[str, str]] = field(default_factory=Counter)
    early: int = 0
    rounds: list[float] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    tracebacks: list[str] = field(default_factory=list)


class Run:
    """A catch-up, and the steps that it has reported."""

    def __init__(self, place: Installation, point: str = "", until: str = STAGES[-1]) -> None:
        reading, writing = os.pipe()
        self.process = place.fork("catch_up", ["--until", until], point, writing)
        os.close(writing)
        self._lines = os.fdopen(reading)
        self.steps: list[dict[str, Any]] = []

    def follow(self, stop: Callable[[], bool] = lambda: False) -> None:
        """Read steps until the run ends or ``stop`` says so."""
        while not stop():
            line = self._lines.readline()
            if not line.endswith("\n"):
                return
            step = json.loads(line)
            if "begins" not in step:
                self.steps.append(step)

    def finish(self) -> int:
        """Wait for the end; its return code."""
        self.follow()
        return self.process.wait(_WAIT)

    def shown(self) -> list[str]:
        """What a person reads of the run: reasons of failed steps, and standard error if it has a traceback."""
        output = self.process.output()
        return [one["error"] for one in self.steps if not one["ok"]] + ([output] if "Traceback" in output else [])


class Loop:
    """Rounds on one installation.

    Args:
        folder: of the installation.
        kills: the rounds to come; only states that they begin from are saved.
    """

    def __init__(self, folder: Path, kills: list[Kill]) -> None:
        self.place = Installation(folder)
        self.figures = Figures()
        self._folder = folder
        self._wanted = {(kill.delivery, kill.stage) for kill in kills}
        self._lasted: dict[tuple[int, str], float] = {}
        self._calm: dict[int, dict[str, list[Any]]] = {}
        self._beside: Forked | None = None

    def prepare(self) -> None:
        """Deliver, run without any disturbance, and keep the state before each stage that a kill is planned for."""
        self.place.up()
        last = max(delivery for delivery, _ in self._wanted)
        for number, events in enumerate(deliveries()[: last + 1]):
            if number == 1:
                self.place.agree()
            self.place.deliver(f"delivery-{number}", events)
            for before, stage in zip(("", *STAGES), (*STAGES, RERATE), strict=False):
                if (number, stage) in self._wanted:
                    if before:
                        self._undisturbed(number, before)
                    self._keep(number, stage)
            self._undisturbed(number, STAGES[-1])
            self._calm[number] = self.place.state()
            if (number, RERATE) in self._wanted:
                self._keep(number, RERATE)
                self._rerate(number)
                self._undisturbed(number, STAGES[-1])
                self._calm[-1] = self.place.state()

    def _keep(self, number: int, stage: str) -> None:
        self.place.keep(f"{number}_{stage.split(maxsplit=1)[0]}")

    def _undisturbed(self, number: int, until: str) -> None:
        for step in whole_run(self.place, until):
            self._lasted[number, step["stage"]] = step["seconds"]

    def round(self, kill: Kill) -> list[str]:
        """Kill, start the servers again, run once; what differs from the undisturbed state."""
        began = time.monotonic()
        self.place.restore(f"{kill.delivery}_{kill.stage.split()[0]}")
        if kill.stage == RERATE:
            self._killed_rerate(kill)
        else:
            self._killed_run(kill)
        self.figures.kills[kill.stage, kill.victim] += 1
        whole_run(self.place)
        if self._beside is not None:
            self._beside.wait(_WAIT)
            whole_run(self.place)
            self._beside = None
        calm = self._calm[-1 if kill.stage == RERATE else kill.delivery]
        found = [f"{kill}: {one}" for one in differing(calm, self.place.state())]
        self.figures.differences += found
        self.figures.rounds.append(time.monotonic() - began)
        return found

    def _killed_run(self, kill: Kill) -> None:
        run = Run(self.place, f"{kill.victim}@{kill.point}" if kill.point else "")
        other = None
        if "writer" in kill.victim:
            # A killed run of the daemon is known by its tag; one that lives has a daemon that lives.
            daemon = [".dagster/grpc_info"] if kill.victim == "both writers" else []
            other = self.place.fork("beside", [kill.stage, *_BESIDE.get(kill.stage, _MONTHS), *daemon])
        if kill.point:
            assert run.finish() == (1 if kill.victim == "postgres" else -signal.SIGKILL), (kill, run.shown())
        else:
            if kill.stage != STAGES[0]:
                run.follow(lambda: bool(run.steps))
            time.sleep(kill.moment * self._lasted.get((kill.delivery, kill.stage), 1.0))
            self.figures.early += run.process.ended()
            self._kill_server(kill.victim)
            if kill.victim != "postgres":
                run.process.kill(group=kill.victim != "alone")
            run.finish()
        self.figures.tracebacks += [one for one in run.shown() if "Traceback" in one]
        if kill.victim == "both writers" and other is not None:
            other.kill(group=True)
            other.wait()
        self.place.up()
        self._beside = other if kill.victim == "second writer" else None

    def _kill_server(self, victim: str) -> None:
        if victim.startswith(("postgres", "valkey")):
            record = processes.read_record(self.place.settings.run, victim.split(maxsplit=1)[0])
            assert record is not None
            with suppress(ProcessLookupError):
                os.kill(record.pid, signal.SIGKILL)

    def _killed_rerate(self, kill: Kill) -> None:
        arguments = self._planned()
        process = self.place.fork("command", arguments)
        time.sleep(kill.moment * self._lasted[kill.delivery, RERATE])
        self._kill_server(kill.victim)
        if kill.victim != "postgres":
            process.kill(group=True)
        process.wait(_WAIT)
        self.place.up()
        # A plan that the killed command had applied is refused the second time, with a sentence.
        again = self.place.fork("command", arguments)
        assert again.wait(_WAIT) in {0, 2}, again.output()
        self.figures.tracebacks += [one.output() for one in (process, again) if "Traceback" in one.output()]
        self._bill()

    def _rerate(self, number: int) -> None:
        arguments = self._planned()
        began = time.monotonic()
        done = self.place.fork("command", arguments)
        assert done.wait(_WAIT) == 0, done.output()
        self._lasted[number, RERATE] = time.monotonic() - began
        self._bill()

    def _bill(self) -> None:
        """The billing run that books the differences; nothing is out of date for their sake."""
        billed = self.place.fork("beside", ["billing", *_MONTHS])
        assert billed.wait(_WAIT) == 0, billed.output()

    def _planned(self) -> list[str]:
        """Plan a dearer catalog for what was billed; the words of the command that applies it."""
        dearer, plan = self._folder / "dearer.json", self._folder / "plan.json"
        dearer.write_text(json.dumps(catalog("0.02")))
        tenants = [word for one in TENANTS for word in ("--tenant", one)]
        asked = ["--from", "2023-11-30", "--to", "2024-02-01", "--catalog", str(dearer), "--out", str(plan)]
        made = self.place.fork("command", ["rerate", "plan", *tenants, *asked])
        assert made.wait(_WAIT) == 0, made.output()
        return ["rerate", "apply", str(plan), "--catalog", str(dearer)]


def whole_run(place: Installation, until: str = STAGES[-1]) -> list[dict[str, Any]]:
    """One undisturbed run; its steps."""
    run = Run(place, until=until)
    code = run.finish()
    assert code == 0, (code, run.shown())
    return run.steps


def differing(left: dict[str, list[Any]], right: dict[str, list[Any]]) -> list[str]:
    """Names of what differs, each with the first rows of either side that the other lacks."""
    found = []
    for name in sorted(left.keys() | right.keys()):
        sides = [[json.dumps(row, default=str, sort_keys=True) for row in one.get(name, [])] for one in (left, right)]
        if sides[0] != sides[1] or name not in left or name not in right:
            only = [sorted(set(one) - set(other))[:2] for one, other in (sides, sides[::-1])]
            found.append(f"{name}: undisturbed {len(sides[0])} rows, disturbed {len(sides[1])}; only there {only}")
    return found


def planned(rounds: int, seed: int) -> list[Kill]:
    """Every stage in turn, the marts twice; every victim once in each seven rounds; moments drawn at random."""
    chance = random.Random(seed)
    stages, servers = [*STAGES, "marts", RERATE], ["group", "postgres", "postgres and group"]
    victims = [victim for _ in range(0, rounds, len(VICTIMS)) for victim in chance.sample(VICTIMS, len(VICTIMS))]
    found = []
    for number, victim in zip(range(rounds), victims, strict=False):
        stage = stages[number % len(stages)]
        if stage == RERATE:
            found.append(Kill(victim if victim in servers else chance.choice(servers), 1, stage, chance.random()))
        else:
            found.append(Kill(victim, chance.randrange(2), stage, chance.random()))
    return found
