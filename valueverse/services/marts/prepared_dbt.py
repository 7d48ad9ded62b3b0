"""The dbt project, parsed once: parsing takes longer than all statements of a build on a small warehouse.

dbt's own partial parsing does not apply. It parses everything again when a var or the database differs, and the vars of
a build name the set of tenants it leaves out. Models and hooks read vars when they are compiled, so one parsed project
serves every value of them.
"""

from __future__ import annotations

from dbt.contracts.graph.manifest import Manifest

from valueverse.services.marts.dbt_project import PARSED, manifest


def prepared(database: str) -> Manifest:
    """The parsed project with its relations in ``database``; dbt-postgres refuses relations of another one.

    Raises:
        RefusalError: ``dbt_parse``, with the output of dbt.
    """
    parsed = Manifest.from_msgpack(manifest().with_name(PARSED).read_bytes())
    for node in (*parsed.nodes.values(), *parsed.sources.values()):
        if name := node.relation_name:
            node.relation_name = name.replace(f'"{node.database}".', f'"{database}".', 1)
        node.database = database
    parsed.build_parent_and_child_maps()  # type: ignore[no-untyped-call]  # dbt leaves both untyped
    parsed.build_flat_graph()  # type: ignore[no-untyped-call]
    return parsed
