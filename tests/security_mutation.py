"""Weakens every rule of the database, one at a time, and looks whether a check and an attack notice.

    python -m tests.security_mutation               # all of them: make mutate-security
    python -m tests.security_mutation --kind policy # one kind

The rules are read out of the catalogue of a migrated database and of the migrations' SQL. Each mutant lives in a
transaction that is undone; one that a transaction cannot show (a login's bounds) is committed, tried and undone. Each
has to be noticed by the comparison with the manifest, and by an attack as well, unless ``SILENT`` says why nobody could
observe it. Ends with 1 if a mutant was not noticed.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.attacks import world as attacked
from tests.attacks.logins import LOGIN_ATTACKS, Logins
from tests.attacks.mutants import Mutant, mutants
from tests.attacks.omissions import omissions
from tests.attacks.trials import ATTACKS, SILENT, Verdict, open_attacks, tried
from tests.support import shared_servers
from valueverse.platform import warehouse

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from valueverse.platform.settings import Settings


def committed(admin: psycopg.Connection[Any], logins: Logins, mutant: Mutant) -> Verdict:
    """As ``tried``, with real logins meanwhile."""
    admin.execute(mutant.change.encode())
    admin.commit()
    try:
        found = open_attacks(admin)
        sentence = ((name, attack(logins)) for name, attack in LOGIN_ATTACKS.items())
        attack, sentences = next((pair for pair in sentence if pair[1]), ("", [""]))
    finally:
        admin.rollback()
        admin.execute(mutant.undo.encode())
        admin.commit()
    return Verdict(mutant, found[0] if found else "", attack, sentences[0])


@contextmanager
def world() -> Iterator[tuple[Settings, Logins]]:
    """A server with the attacked world, found sound by every check and attack before anything is weakened."""
    for name in [name for name in os.environ if name.startswith("VALUEVERSE_")]:
        del os.environ[name]
    shared_servers.begin()
    try:
        with shared_servers.own_cluster() as settings:
            yield settings, Logins(settings, attacked.seed(settings))
    finally:
        shared_servers.end()


def main() -> None:
    """Weaken, try, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", action="append", help="try mutants of this kind alone; may be repeated")
    asked = parser.parse_args()
    began = time.monotonic()
    verdicts = []
    with world() as (settings, logins), warehouse.connect(settings, "admin") as admin:
        sound(admin, logins)
        todo = [mutant for mutant in mutants(admin) if not asked.kind or mutant.kind in asked.kind]
        admin.commit()
        for mutant in todo:
            verdict = committed(admin, logins, mutant) if mutant.undo else tried(admin, mutant)
            verdicts.append(verdict)
            line(verdict)
        sound(admin, logins)
        if not asked.kind or "omission" in asked.kind:
            for verdict in omissions(settings):
                verdicts.append(verdict)
                line(verdict)
    sys.exit(summary(verdicts, time.monotonic() - began))


def sound(admin: psycopg.Connection[Any], logins: Logins) -> None:
    """Nothing is noticed in a world where nothing is weakened."""
    sentence = [text for attack in LOGIN_ATTACKS.values() for text in attack(logins)] + open_attacks(admin)
    for attack in ATTACKS.values():
        with admin.transaction(force_rollback=True):
            sentence += attack(admin)
    admin.commit()
    if sentence:
        sys.exit("the database is not sound as it is: " + "; ".join(sentence[:5]))


def line(verdict: Verdict) -> None:
    """One row of the table."""
    mark = "ok    " if verdict.noticed else "MISSED"
    attack = verdict.attack or (f"(silent: {verdict.silent})" if verdict.silent else "-")
    change = verdict.mutant.change
    note = re.search(r"/\* (.*) \*/$", change)
    shown = " ".join((note.group(1) if note else change).split())
    manifest = "manifest" if verdict.manifest else "-"
    sys.stdout.write(f"{mark} {verdict.mutant.kind:<22} {manifest:<9} {attack:<52} {shown[:150]}\n")
    if not verdict.noticed and verdict.found_problems:
        sys.stdout.write(f"       {verdict.found_problems}\n")
    sys.stdout.flush()


def summary(verdicts: list[Verdict], seconds: float) -> int:
    """Counts by kind; 1 if anything was missed."""
    sys.stdout.write(f"\n{'kind':<24}{'mutants':>8}{'noticed':>9}{'by manifest':>13}{'by attack':>11}{'silent':>8}\n")
    for kind in dict.fromkeys(verdict.mutant.kind for verdict in verdicts):
        mine = [verdict for verdict in verdicts if verdict.mutant.kind == kind]
        counted = Counter(
            noticed=sum(one.noticed for one in mine),
            manifest=sum(bool(one.manifest) for one in mine),
            attack=sum(bool(one.attack) for one in mine),
            silent=sum(bool(one.silent) and not one.attack for one in mine),
        )
        row = (counted["noticed"], counted["manifest"], counted["attack"], counted["silent"])
        sys.stdout.write(f"{kind:<24}{len(mine):>8}{row[0]:>9}{row[1]:>13}{row[2]:>11}{row[3]:>8}\n")
    missed = [verdict for verdict in verdicts if not verdict.noticed]
    sys.stdout.write(f"\n{len(verdicts)} mutants, {len(missed)} missed, {seconds:.0f} s\n")
    unused = sorted({reason for _, reason in SILENT} - {verdict.silent for verdict in verdicts})
    if unused and len({verdict.mutant.kind for verdict in verdicts}) > 1:
        sys.stdout.write(f"reasons that nothing needs: {'; '.join(unused)}\n")
    return 1 if missed else 0


if __name__ == "__main__":
    main()
