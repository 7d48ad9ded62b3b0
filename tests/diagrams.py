"""Draws docs/architecture/tables.md and docs/architecture/data-flow.md from the migrated database and the code.

python -m tests.diagrams    # or: make docs
"""

from __future__ import annotations

import ast
import os
import sys
from collections import defaultdict
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grimp

from valueverse.schemas.contract import Contract

if TYPE_CHECKING:
    from collections.abc import Iterable

    import psycopg

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "architecture"
TABLES, FLOW = FOLDER / "tables.md", FOLDER / "data-flow.md"
PACKAGES = ("valueverse", "quality", "assets", "pipelines", "serving_api")
CONTRACTS = "valueverse.schemas"
SCHEMAS = {
    "billing": "What is billed: tenants, catalogs, subscriptions, invoices, the journal, checks and releases",
    "value": "Committed value models, their runs and results, and the fees proposed for them",
    "auth": "Credentials of the API",
    "guard": "Which analyst may read which tenant",
    "queue": "Background work: jobs, the workers that do them, and whose turn is next",
    "inbox": "Events received by the API",
    "audit": "The audit log: entries and the nodes of their tree, and what has no place in it yet",
    "vault": "Data keys, wrapped: what they seal is in no other form",
}
_COLUMNS = """
select n.nspname, c.relname, a.attname, coalesce(nullif(t.typname, ''), '?'), a.attnotnull,
    exists (select from pg_constraint k where k.conrelid = c.oid and k.contype = 'p' and a.attnum = any(k.conkey)),
    exists (select from pg_constraint k where k.conrelid = c.oid and k.contype = 'f' and a.attnum = any(k.conkey))
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
join pg_type t on t.oid = a.atttypid
where c.relkind in ('r', 'p') and not c.relispartition and n.nspname = any(%s)
order by 1, 2, a.attnum"""
_KEYS = """
select distinct cn.nspname, c.relname, pn.nspname, p.relname,
    (select string_agg(a.attname, ', ' order by u.place) from unnest(k.conkey) with ordinality u(number, place)
     join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.number)
from pg_constraint k
join pg_class c on c.oid = k.conrelid join pg_namespace cn on cn.oid = c.relnamespace
join pg_class p on p.oid = k.confrelid join pg_namespace pn on pn.oid = p.relnamespace
where k.contype = 'f' and cn.nspname = any(%s)
order by 1, 2, 3, 4, 5"""
_HEAD = "<!-- Written by `make docs`; do not edit. -->\n"


def tables(connection: psycopg.Connection[Any]) -> str:
    """An entity-relationship diagram of each schema that migrations make, as Markdown."""
    names = list(SCHEMAS)
    columns: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for schema, table, column, kind, required, primary, foreign in connection.execute(_COLUMNS, [names]):
        marks = ", ".join(mark for mark, holds in (("PK", primary), ("FK", foreign)) if holds)
        optional = "" if required else ' "may be null"'
        columns[schema][table].append(f"        {kind.lstrip('_')} {column}{f' {marks}' if marks else ''}{optional}")
    keys = connection.execute(_KEYS, [names]).fetchall()
    parts = [_HEAD, "# Tables\n", "What the migrations make. Views, functions and the marts of dbt are not drawn.\n"]
    for schema, purpose in SCHEMAS.items():
        parts += [f"\n## {schema}\n", f"{purpose}.\n", "```mermaid", "erDiagram", "    direction LR"]
        for table, rows in columns[schema].items():
            parts += [f"    {table} {{", *rows, "    }"]
        parts += [
            f'    {parent} ||--o{{ {child} : "{by}"'
            for owner, child, other, parent, by in keys
            if owner == schema and other == schema
        ]
        parts.append("```")
        parts += [
            f"\n`{owner}.{child}` ({by}) refers to `{other}.{parent}`."
            for owner, child, other, parent, by in keys
            if owner == schema != other
        ]
    return "\n".join(parts) + "\n"


def flow() -> str:
    """Who imports whom, which frames pass between packages, and which asset reads which, as Markdown."""
    return (
        "\n".join(
            [
                _HEAD,
                "# Data flow\n",
                "## Packages\n",
                "An arrow points from a package to one that it imports.\n",
                *_mermaid("flowchart TD", (f"{_name(one)} --> {_name(other)}" for one, other in _imports())),
                "\n## Frames\n",
                "An arrow points from the module that declares frame contracts to a package that reads or makes the",
                "frames.\n",
                *_mermaid(
                    "flowchart LR",
                    (
                        f'{_name(home)} -- "{"<br/>".join(names)}" --> {_name(user)}'
                        for (home, user), names in _frames().items()
                    ),
                ),
                "\n## Assets\n",
                "An arrow points from an asset to one that reads it.\n",
                *_mermaid(
                    "flowchart LR", (f'{_name(one)}["{one}"] --> {_name(other)}["{other}"]' for one, other in _assets())
                ),
            ]
        )
        + "\n"
    )


def _mermaid(kind: str, lines: Iterable[str]) -> list[str]:
    return ["```mermaid", kind, *(f"    {line}" for line in lines), "```"]


def _name(text: str) -> str:
    return text.replace(".", "_").replace("/", "_")


def _package(module: str) -> str:
    """The package of a module: the second level of ``valueverse``, the first of the others."""
    parts = module.split(".")
    return ".".join(parts[: 2 if parts[0] == "valueverse" else 1])


def _imports() -> list[tuple[str, str]]:
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    found = set()
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            one, other = _package(module), _package(imported)
            # Everything imports these two.
            if one != other and other not in {"valueverse", "valueverse.errors"}:
                found.add((one, other))
    return sorted(found)


def _frames() -> dict[tuple[str, str], list[str]]:
    """Names of frame contracts by (module that declares them, package that uses them)."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            user = _package(".".join(path.relative_to(ROOT).with_suffix("").parts))
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if user != CONTRACTS and isinstance(node, ast.ImportFrom) and (node.module or "").startswith(CONTRACTS):
                    module = import_module(node.module or "")
                    names = {alias.name for alias in node.names if isinstance(getattr(module, alias.name), Contract)}
                    if names:
                        found[module.__name__.removeprefix("valueverse."), user] |= names
    return {pair: sorted(names) for pair, names in sorted(found.items())}


def _assets() -> list[tuple[str, str]]:
    """Edges between assets; of dbt the marts alone, each with the assets that its models read."""
    from pipelines.definitions import defs

    graph = defs.resolve_asset_graph()
    inner = {"staging", "intermediate", "seed"}

    def upstream(key: Any) -> set[str]:
        found: set[str] = set()
        for parent in graph.get(key).parent_keys:
            found |= upstream(parent) if parent.path[0] in inner else {parent.to_user_string()}
        return found

    keys = [key for key in graph.get_all_asset_keys() if key.path[0] not in inner]
    return sorted((parent, key.to_user_string()) for key in keys for parent in upstream(key))


def main() -> None:
    """Write both."""
    from tests.support import shared_servers
    from valueverse.platform.warehouse import connect

    os.environ["DO_NOT_TRACK"] = "1"
    shared_servers.begin()
    try:
        with connect(shared_servers.started(), "admin") as connection:
            TABLES.write_text(tables(connection), encoding="utf-8")
    finally:
        shared_servers.end()
    FLOW.write_text(flow(), encoding="utf-8")
    for path in (TABLES, FLOW):
        sys.stdout.write(f"{path.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
