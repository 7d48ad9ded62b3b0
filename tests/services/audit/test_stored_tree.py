"""Nodes of the tree that are stored beside the entries: proofs read few rows, of one tenant, and damage is found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.audit_tree import tree_over
from valueverse.audit import consistency_nodes, inclusion_nodes, leaf_hash, root_nodes
from valueverse.platform import warehouse
from valueverse.platform.access.api_keys import issue_api_key
from valueverse.platform.warehouse import connect
from valueverse.services.audit.sequence_entries import sequence_entries
from valueverse.services.audit.sign_log import sign_log
from valueverse.services.audit.verify_log import read_log, verify_log

if TYPE_CHECKING:
    import psycopg

    from valueverse.audit import Node
    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration
ACME, BIRCH = "acme", "birch"
_READ = """
    select coalesce(sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)), 0) from pg_stat_xact_user_tables
     where schemaname = 'audit' and relname in ('entry', 'node')"""


def _grow(settings: Settings, **entries: int) -> None:
    with connect(settings, "builder") as connection:
        for tenant, count in entries.items():
            connection.execute(
                "select audit.submit(%s, 'test.done', n::text, '', 'system') from generate_series(1, %s) as n",
                [tenant, count],
            )
    assert sequence_entries(settings) == entries


def _asked(connection: psycopg.Connection[Any], tenant: str, nodes: list[Node]) -> dict[Node, bytes | None]:
    query = "select level, place, hash from api.audit_nodes(%s, %s::smallint[], %s::bigint[])"
    rows = connection.execute(query, [tenant, [level for level, _ in nodes], [place for _, place in nodes]]).fetchall()
    return {(level, place): found for level, place, found in rows}


def _tree(settings: Settings, tenant: str) -> dict[Node, bytes]:
    return tree_over([leaf_hash(entry) for entry in read_log(settings, tenant).entries])


def _findings(settings: Settings, tenant: str) -> list[tuple[str, int]]:
    return [(one.layer, one.sequence) for one in verify_log(settings, tenant)[1]]


def test_a_proof_reads_rows_by_the_logarithm_of_the_log_and_none_of_another_tenant(settings: Settings) -> None:
    for more in (1, 2, 5, 1023):
        _grow(settings, acme=more, birch=2 * more)
    own, other = _tree(settings, ACME), _tree(settings, BIRCH)
    assert len(own) > 2000
    read = {}
    with connect(settings, "admin", autocommit=True) as connection:
        connection.execute("set session authorization valueverse_api")
        for size in (16, 128, 1024, 1031):
            for nodes in (inclusion_nodes(size // 3, size), consistency_nodes(size // 3, size), root_nodes(size)):
                with connection.transaction():
                    before = connection.execute(_READ).fetchone()
                    found = _asked(connection, ACME, nodes)
                    after = connection.execute(_READ).fetchone()
                assert found == {node: own[node] for node in nodes}
                assert before is not None
                assert after is not None
                read[size, len(read)] = int(after[0] - before[0])
                assert read[size, len(read) - 1] <= len(nodes) <= 2 * size.bit_length()
        # Of a node that only the other, longer log has nothing is given, nor of one that no log has.
        theirs = [node for node in other if node not in own]
        assert len(theirs) > 2000
        assert set(_asked(connection, ACME, [*theirs[::100], (62, 0)]).values()) == {None}
        assert _asked(connection, BIRCH, theirs[:3]) == {node: other[node] for node in theirs[:3]}
    assert min(read.values()) > 0, "nothing was counted"


def test_logs_that_were_there_before_nodes_were_stored_get_them(settings: Settings) -> None:
    _grow(settings, acme=11, birch=3)
    warehouse.downgrade(settings, "0055")
    warehouse.upgrade(settings)
    for tenant, nodes in ((ACME, 5 + 2 + 1), (BIRCH, 1)):
        assert len(read_log(settings, tenant).nodes or ()) == nodes
        assert _findings(settings, tenant) == []
    _grow(settings, acme=5)
    assert len(read_log(settings, ACME).nodes or ()) == 8 + 4 + 2 + 1
    assert _findings(settings, ACME) == []


def test_nodes_that_do_not_hold_are_found_stop_nobody_else_and_are_computed_again(settings: Settings) -> None:
    """One was written before its entries were, another changed: what docs/runbooks/checks.md says mends it."""
    _grow(settings, acme=5, birch=2)
    with connect(settings, "builder") as connection:
        connection.execute("insert into audit.node values ('acme', 1, 2, sha256('forged'))")
        for tenant in (ACME, BIRCH):
            issue_api_key(connection, tenant)
    done = sign_log(settings, whole=True)
    assert list(done.signed) == [BIRCH]
    assert done.findings.select("tenant", "layer", "sequence").rows() == [(ACME, "tree", 6)]
    with connect(settings, "builder") as connection:
        connection.execute("delete from audit.node where tenant_id = 'acme'")
        connection.execute("select audit.add_nodes('{acme}', '{0}')")
    assert _findings(settings, ACME) == []
    assert list(sign_log(settings, whole=True).signed) == [ACME]
