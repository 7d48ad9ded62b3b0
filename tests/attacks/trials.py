"""One weakened rule, tried: by the manifest and by the attacks, in a transaction that is undone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg

from tests.attacks import on_functions, on_rights
from valueverse.platform.access import manifest

if TYPE_CHECKING:
    from tests.attacks.mutants import Mutant

    Admin = psycopg.Connection[Any]

ATTACKS = {
    attack.__name__.replace("_", " "): attack
    for attack in (
        on_rights.nobody_has_more_rights_on_tables,
        on_rights.nobody_has_more_rights_on_anything_else,
        on_rights.no_login_makes_itself_more,
        on_rights.the_owner_sees_no_row,
        on_rights.policies_hold_without_the_functions,
        on_rights.an_analyst_reads_own_rows_of_marts_alone,
        on_rights.the_api_reads_no_table,
        on_functions.functions_filter_by_themselves,
        on_functions.new_objects_are_not_open,
        on_functions.what_was_written_stays,
        on_functions.functions_look_where_their_owner_does,
    )
}

FIRST = {
    "policy": "policies hold without the functions",
    "row-level security": "the owner sees no row",
    "right on a table": "nobody has more rights on tables",
    "filter": "functions filter by themselves",
    "default right": "new objects are not open",
    "trigger": "what was written stays",
    "guard": "new objects are not open",
    "search path": "functions look where their owner does",
}
"""The attack that a kind of rule is there for is made first."""

SILENT = (
    ("^omission: ", "the rule itself is attacked above"),
    (r"^row-level security: .* marts\w*\.\w+ no force", "the owner of marts, the builder, passes by it anyway"),
    (r"^search path: .* (billing\.|api\.ready)", "it looks up nothing that a low login could put in its way"),
    (r"^function: .* billing\.\w+\(.*\) security definer", "it gives no answer to whoever fires it"),
    (
        r"guard\.protect\(oid\) (reset search_path|security invoker)",
        "the guard alone calls it, by its own path and rights",
    ),
    (
        r"guard\.end_long_sessions\(.*\) security invoker",
        "it then ends nothing: tests/isolation/test_bounds.py notices",
    ),
    (
        r"guard\.memory_of\(integer\) (reset|sec)",
        "it is called by guard.end_long_sessions alone, with the rights of its owner",
    ),
    (r"^view: .* billing\.", "its owner is held back by policies as well"),
    (r"^addition: .* (inherits|publication|data wrapper|large object)", "nobody but an administrator reaches it"),
    (r"^addition: create rule", "it does nothing but answer"),
    (r"^addition: create policy", "the login it is for has no right on the table"),
    (r"^function: .* api\.ready\(\) security invoker", "it reads nothing"),
    (
        r"^function: .* api\.portal_(customer_known|invoice_parties|usage)\(.*\) security invoker",
        "it asks another function of the schema, which the login may ask itself",
    ),
    (
        r"^policy: .* api_customer .* or coalesce\(current_setting\('valueverse\.tenant'",
        "where no tenant is set, the policy of tenants shows no row",
    ),
)
"""Mutants that no attack can notice, by their change, and why."""


@dataclass(frozen=True)
class Verdict:
    """What noticed a mutant: the manifest's first sentence, the first attack and its sentence; empty where nothing
    did."""

    mutant: Mutant
    manifest: str
    attack: str
    found_problems: str = ""

    @property
    def silent(self) -> str:
        """Why no attack can notice it; empty if one has to."""
        text = f"{self.mutant.kind}: {' '.join(self.mutant.change.split())}"
        return next((reason for pattern, reason in SILENT if re.search(pattern, text)), "")

    @property
    def noticed(self) -> bool:
        """By the manifest and by an attack, or by the manifest alone where nobody can observe it."""
        return bool(self.manifest) and bool(self.attack or self.silent)


def open_attacks(admin: Admin) -> list[str]:
    """What the manifest says of the database."""
    row = admin.execute(manifest.QUERY.encode()).fetchone()
    return [violation.what for violation in manifest.rls_violations(row[0])] if row else []


def tried(admin: Admin, mutant: Mutant) -> Verdict:
    """Weaken, ask, attack until something is noticed, undo."""
    first = FIRST.get(mutant.kind)
    names = sorted(ATTACKS, key=lambda name: name != first)
    with admin.transaction(force_rollback=True):
        admin.execute(mutant.change.encode())
        found = open_attacks(admin)
        found_problems = ((name, _made(admin, name)) for name in names)
        attack, sentences = next((pair for pair in found_problems if pair[1]), ("", [""]))
    return Verdict(mutant, found[0] if found else "", attack, sentences[0])


def _made(admin: Admin, name: str) -> list[str]:
    try:
        with admin.transaction(force_rollback=True):
            return ATTACKS[name](admin)
    except psycopg.Error as error:
        return [f"breaks off: {error}"]
