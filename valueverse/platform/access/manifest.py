"""The catalogue as the migrations made it, compared with a database: every difference is a violation.

``manifest.tsv`` holds the facts of a freshly migrated database, one a line: kind, object, aspect, value. What comes
and goes while a system lives (marts, their partitions, analysts, other databases) is judged by rules.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any, NamedTuple

from valueverse.platform.access import roles
from valueverse.platform.settings import ROLE_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_BUILDER, _API = ROLE_NAMES["builder"], ROLE_NAMES["api"]

BUILT = ("staging", "intermediate", "marts", "marts_partitions")
"""Schemas whose relations dbt builds; analysts use `marts` alone."""

QUERY = resources.files(__package__).joinpath("catalogue.sql").read_text(encoding="utf-8")
"""Gives one text: the catalogue as JSON, for ``rls_violations``. Whoever may connect may run it."""

_FILE = resources.files(__package__).joinpath("manifest.tsv")

_MAPPED = (
    "permissive for select to valueverse_analyst using ((tenant_id = ANY (ARRAY( SELECT mapped.tenant_id"
    " FROM guard.analyst_tenant mapped WHERE (mapped.role_name = SESSION_USER)))))"
)
# What only a superuser can set up: missing where the migrations ran without one, which `doctor` says by itself.
_SUPERUSER_ONLY = re.compile("event trigger|server function|setting\t[a-z_]+\ttemp_file_limit")


_IN_WAREHOUSE = " in warehouse"
"""Ends the name of a login whose setting holds in this database alone."""


class Fact(NamedTuple):
    """One line of the manifest."""

    kind: str
    object: str
    aspect: str
    value: str


@dataclass(frozen=True)
class Violation:
    """Something that lets somebody do more than the migrations allow."""

    what: str
    cure: str
    by_analyst: bool = False
    """An analyst alone can make it, for its own sessions: no reason for the API to stop serving."""


def facts_of(catalogue: str) -> list[Fact]:
    """All facts of what ``QUERY`` gave."""
    return [Fact(*fact) for fact in json.loads(catalogue)["facts"]]


def expected() -> list[Fact]:
    """The stored facts."""
    return [Fact(*line.split("\t")) for line in _FILE.read_text(encoding="utf-8").splitlines()]


def rendered(facts: Iterable[Fact]) -> str:
    """The text of ``manifest.tsv`` for a freshly migrated database."""
    return "".join("\t".join(fact) + "\n" for fact in sorted(facts) if not _lives(fact))


def rls_violations(catalogue: str) -> list[Violation]:
    """Every violation in the catalogue that ``QUERY`` gave; empty when all is as the migrations and the rules say."""
    known = json.loads(catalogue)
    facts = [Fact(*fact) for fact in known["facts"]]
    fixed: dict[tuple[str, str, str], str] = {}
    for fact in facts:
        if not _lives(fact):
            key = (fact.kind, fact.object, fact.aspect)
            # Two facts of one name are a difference, whichever of them is right.
            fixed[key] = f"{fixed[key]}; {fact.value}" if key in fixed else fact.value
    wanted = {(fact.kind, fact.object, fact.aspect): fact.value for fact in expected()}
    found = []
    for key in sorted(wanted.keys() | fixed.keys()):
        if wanted.get(key) == fixed.get(key):
            continue
        if key not in wanted and _harmless(key, fixed, known["harmless_settings"]):
            continue
        if not known["superuser"] and key not in fixed and _SUPERUSER_ONLY.match("\t".join(key)):
            continue
        found.append(_difference(key, fixed.get(key), wanted.get(key), known["database"]))
    return found + list(_by_rule([fact for fact in facts if _lives(fact)], known))


def _lives(fact: Fact) -> bool:
    """Whether a fact is of something that comes and goes."""
    if fact.kind.endswith("database") and fact.object != "warehouse":
        return True
    if fact.kind.endswith(" large object") or fact.object.startswith(roles.ANALYST_PREFIX):
        return True
    return fact.kind not in {"default rights", "rights on schema", "owner of schema"} and _schema(fact) in BUILT


def _schema(fact: Fact) -> str:
    return fact.object.partition(".")[0] if "." in fact.object else ""


def _harmless(key: tuple[str, str, str], fixed: dict[tuple[str, str, str], str], settings: list[str]) -> bool:
    """Whether something that is not of the migrations opens nothing: an administrator's own, shut to everybody else."""
    kind, name, aspect = key
    value = fixed[key]
    if kind == "default rights":
        # Each member may write them for the group, which can create nothing that they would apply to.
        return name.partition(" in ")[0] == roles.ANALYST
    if kind == "setting":
        # Where dbt and the API's functions look for a name is no taste of a person.
        return aspect in settings and aspect not in {"search_path", "row_security"}
    if kind.startswith("owner of ") and not kind.startswith("owner of foreign "):
        return value == "administrator"
    if kind == "rights on type":
        return True
    if kind == "table" and fixed.get(("owner of table", name, "")) == "administrator":
        # A copy of tenants' rows is behind row-level security even there.
        secured = fixed.get((kind, name, "row-level security")) == "enabled and forced"
        return aspect != "inherits from" and (secured or "of tenants" not in fixed[kind, name, "kind"])
    return False


def _difference(key: tuple[str, str, str], value: str | None, wanted: str | None, database: str) -> Violation:
    kind, name, aspect = key
    what = f"{kind} {name}" + (f", {aspect}" if aspect else "")
    if value is None:
        return Violation(f"{what}: missing; the migrations made it: {wanted}", _cure(key, value, wanted, database))
    if wanted is None:
        return Violation(f"{what}: {value}; not of the migrations", _cure(key, value, wanted, database))
    return Violation(f"{what}: {value}; the migrations made it: {wanted}", _cure(key, value, wanted, database))


def _cure(key: tuple[str, str, str], value: str | None, wanted: str | None, database: str) -> str:
    kind, name, aspect = key
    cure = "undo what changed it; valueverse/platform/access/manifest.tsv says how the migrations made it"
    if kind == "setting" and wanted is None:
        cure = f"`{_setting_of(name, database)} reset {aspect}`"
    elif kind in {"role", "setting"}:
        cure = "`valueverse up` puts roles and their bounds back"
    elif kind == "membership":
        cure = f"`revoke {aspect} from {name}`"
    elif kind.startswith("rights on ") and value is not None:
        place = name if name != "warehouse" else database
        revoke = f"`revoke all on {kind.removeprefix('rights on ')} {place} from {_grantee(aspect)}`"
        again = "`valueverse up`" if kind == "rights on database" else "grant what the migrations do"
        cure = f"{revoke}, then {again}"
    elif kind == "rights on database":
        cure = "`valueverse up` opens the database to its own roles again"
    elif kind in {"policy", "trigger"} and wanted is None:
        cure = f"`drop {kind} {aspect} on {name}`"
    elif kind == "trigger":
        cure = f"`alter table {name} enable always trigger {aspect}`, or create it as its migration does"
    elif kind == "table" and aspect == "row-level security":
        cure = f"`alter table {name} enable row level security, force row level security`"
    elif kind == "constraint" and value is None:
        cure = f"`alter table {name} add constraint {aspect} {wanted}`, after a look at the rows written meanwhile"
    return cure


def _setting_of(name: str, database: str) -> str:
    """The statement that changes a setting of ``name``, up to the setting."""
    if name == "server":
        return "alter system"
    if name == "warehouse":
        return f"alter database {database}"
    role = "all" if name == "everybody" else name.removesuffix(_IN_WAREHOUSE)
    return f"alter role {role}" + (f" in database {database}" if name.endswith(_IN_WAREHOUSE) else "")


def _grantee(name: str) -> str:
    return "public" if name == "everybody" else name


def _by_rule(facts: list[Fact], known: dict[str, Any]) -> Iterator[Violation]:
    objects: dict[str, list[Fact]] = defaultdict(list)
    for fact in facts:
        objects[fact.object].append(fact)
    for name, found_facts in sorted(objects.items()):
        if name.startswith(roles.ANALYST_PREFIX):
            yield from _analyst(name, found_facts, known)
        elif found_facts[0].kind.endswith(" large object"):
            yield Violation(f"large object {name} is open to others than administrators", f"`select lo_unlink({name})`")
        elif found_facts[0].kind.endswith(" database"):
            yield from _database(name, found_facts)
        else:
            yield from _built(name, found_facts)


def _analyst(name: str, found_facts: list[Fact], known: dict[str, Any]) -> Iterator[Violation]:
    """An analyst is a login with bounds, in the group of analysts and in nothing else."""
    wanted = {}
    if not name.endswith(_IN_WAREHOUSE):
        wanted = {("role", "attributes"): "login connections 8", ("membership", roles.ANALYST): "inherit"}
        for setting, bound in roles.ANALYST_BOUNDS.items():
            if known["superuser"] or setting != "temp_file_limit":
                wanted["setting", setting] = bound
    found = {(fact.kind, fact.aspect): fact.value for fact in found_facts}
    for kind, aspect in sorted(wanted.keys() | found.keys()):
        value, right = found.get((kind, aspect)), wanted.get((kind, aspect))
        if value == right or (right is None and kind == "setting" and aspect in known["harmless_settings"]):
            continue
        if kind == "default rights":  # everybody may write their own; an analyst can create nothing
            continue
        if right is None:
            cure = _cure((kind, name, aspect), value, right, known["database"])
        else:
            cure = {
                "role": f"`alter role {name} with {roles.ANALYST_ATTRIBUTES}`",
                "membership": f"`grant {aspect} to {name} with admin false, inherit true, set false`",
            }.get(kind, f"`alter role {name} set {aspect} = '{right}'`")
        what = f"analyst {name}: {kind} {aspect} is {value or 'missing'}; it should be {right or 'absent'}"
        yield Violation(what, cure, by_analyst=kind == "setting" and aspect not in known["superusers_settings"])


def _database(name: str, found_facts: list[Fact]) -> Iterator[Violation]:
    """Other databases: shut to everybody, and to low logins unless it is a warehouse, which an administrator owns."""
    owner = next((fact.value for fact in found_facts if fact.kind == "owner of database"), "")
    servers_own = name in {"postgres", "template0", "template1"}
    if _low(owner) or (servers_own and owner == _BUILDER):
        yield Violation(f"database {name} is owned by {owner}", f"`alter database {name} owner to` an administrator")
    for fact in found_facts:
        if fact.kind != "rights on database":
            continue
        warehouse = owner == "administrator" and not servers_own
        low = _low(fact.aspect) or (servers_own and fact.aspect == _BUILDER)
        allowed = "CONNECT" if warehouse and not fact.aspect.startswith(roles.ANALYST_PREFIX) else ""
        if fact.aspect == "everybody" or (low and fact.value != allowed):
            yield Violation(
                f"database {name} is open to {fact.aspect}: {fact.value}",
                f"`revoke all on database {name} from {_grantee(fact.aspect)}`",
            )


def _low(role: str) -> bool:
    """Whether a role works in a warehouse alone."""
    return role in {roles.READER, roles.OWNER, roles.ANALYST, _API} or role.startswith(roles.ANALYST_PREFIX)


def _built(name: str, found_facts: list[Fact]) -> Iterator[Violation]:
    """What dbt built, and what else is in its schemas."""
    schema = _schema(found_facts[0])
    found = {(fact.kind, fact.aspect): fact.value for fact in found_facts}
    for (what, aspect), value in sorted(found.items()):
        violation = _of_built(name, schema, Fact(what, name, aspect, value))
        if violation is not None:
            yield violation
    kind = found.get(("table", "kind"), "")
    again = "build it again with dbt, or drop it"
    if kind.startswith(("materialised", "foreign")):
        yield Violation(f"{name} is a {kind.split(',')[0]}: row-level security does not hold there", again)
    elif kind and schema == "marts" and "of tenants" not in kind:
        yield Violation(f"{name} has no tenant_id: every analyst reads all of it", again)
    elif "table" in kind and "of tenants" in kind:
        yield from _secured(name, schema, found)


def _of_built(name: str, schema: str, fact: Fact) -> Violation | None:
    kind, _, aspect, value = fact
    violation = None
    if kind.startswith("owner of ") and value != _BUILDER:
        violation = Violation(f"{name} is owned by {value}", "give it to valueverse_builder, or drop it")
    elif kind.startswith("rights on ") and not _allowed(schema, kind, aspect, value):
        violation = Violation(
            f"{aspect} has rights on {name}: {value}", f"`revoke {value} on {name} from {_grantee(aspect)}`"
        )
    elif kind in {"rule", "trigger"}:
        violation = Violation(f"{name} has a {kind}, {aspect}: {value}", f"`drop {kind} {aspect} on {name}`")
    elif kind == "policy" and not (schema == "marts" and aspect == "analyst_tenant" and value == _MAPPED):
        cure = f"`drop policy {aspect} on {name}`, then `select guard.protect('{name}'::regclass)`"
        violation = Violation(f"{name}: policy {aspect} is {value}", cure)
    elif kind == "function" and (aspect, value) in {("runs as", "its owner"), ("leakproof", "yes")}:
        cure = "make it `security invoker` and not leakproof, or drop it"
        violation = Violation(f"function {name} looks past row-level security ({aspect} {value})", cure)
    elif aspect == "inherits from":
        violation = Violation(f"{name} inherits from {value}, whose policies do not hold for it", "drop it")
    elif (kind, aspect) == ("table", "view") and not re.match(".*security_invoker=(true|on)", value):
        cure = f"`alter view {name} set (security_invoker = true)`"
        violation = Violation(f"{name}: the view shows what its owner may see (security_invoker is off)", cure)
    return violation


def _secured(name: str, schema: str, found: dict[tuple[str, str], str]) -> Iterator[Violation]:
    protect = f"`select guard.protect('{name}'::regclass)`"
    state = found["table", "row-level security"]
    if state != "enabled and forced":
        yield Violation(f"{name}: row-level security is {state}", protect)
    if schema == "marts" and ("policy", "analyst_tenant") not in found:
        yield Violation(f"{name}: analysts have no policy bound to their login", protect)


def _allowed(schema: str, what: str, grantee: str, value: str) -> bool:
    if what == "rights on type":
        return True
    if what == "rights on table":
        return schema == "marts" and grantee == roles.ANALYST and value == "SELECT"
    return what == "rights on function" and grantee == roles.ANALYST
