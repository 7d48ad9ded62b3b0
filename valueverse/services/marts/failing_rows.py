"""Whose rows make a dbt model or test fail: its SQL, run again in a transaction that is undone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from valueverse.platform.isolation import Failure, is_shared, isolate
from valueverse.platform.queries import values_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_EVERYONE = """
select tenant_id::text from billing.tenant
union select tenant_id::text from billing.ingestion_file
union select tenant_id::text from billing.reconciliation
order by 1"""


@dataclass(frozen=True)
class Node:
    """A model or a test as the manifest has it, its compiled SQL, and the result that dbt reported."""

    properties: Mapping[str, Any]
    code: str
    message: str

    @property
    def name(self) -> str:
        """The name a person reads."""
        return str(self.properties["name"])

    @property
    def is_test(self) -> bool:
        """Whether rows of it are failures."""
        return bool(self.properties["resource_type"] == "test")


def failing_tenants(
    connection: psycopg.Connection[Any], node: Node, left_out: Sequence[str], variables: Mapping[str, Any]
) -> list[Failure]:
    """The tenants without whom the node would have ended well; empty where none is the reason.

    Args:
        connection: as builder.
        node: what failed.
        left_out: tenants that the attempt left out already.
        variables: ``tenants``, ``periods_from`` and ``periods_to`` of the run.

    Raises:
        BaseException: what is no tenant's failure: the server, a lock, an interruption.
    """
    if node.is_test:
        found = _failing_rows(connection, node, left_out)
        if found is not None:
            return found
    elif node.properties["config"].get("materialized") != "incremental":
        return []
    return _failing_alone(connection, node, left_out, variables)


def _failing_rows(connection: psycopg.Connection[Any], node: Node, left_out: Sequence[str]) -> list[Failure] | None:
    """Tenants of the rows that a test finds; None where its SQL does not run at all."""
    counted = sql.SQL(
        "select to_jsonb(failing) ->> 'tenant_id', count(*), min(left(to_jsonb(failing)::text, 300)) "
        "from ({}) as failing group by 1 order by 1"
    ).format(sql.SQL(node.code))  # SQL that dbt compiled from this project
    try:
        _leave_out(connection, left_out)
        rows = connection.execute(counted).fetchall()
    except psycopg.Error as error:
        if is_shared(error):
            raise
        return None
    finally:
        connection.rollback()
    return [
        Failure(tenant, node.name, f"{count} row(s) fail the test {node.name}, such as {example}"[:500])
        for tenant, count, example in rows
        if tenant is not None and tenant not in left_out
    ]


def _failing_alone(
    connection: psycopg.Connection[Any], node: Node, left_out: Sequence[str], variables: Mapping[str, Any]
) -> list[Failure]:
    """Tenants whose rows make the SQL raise, found by running it for halves of the tenants."""
    known = values_of(connection, _EVERYONE)
    everyone = sorted({*known, *left_out})
    statements = [_rows_of_test(node)] if node.is_test else _table_of_model(node, variables)

    def work(tenants: Sequence[str] | None) -> None:
        asked = set(tenants or ())
        try:
            _leave_out(connection, [tenant for tenant in everyone if tenant not in asked])
            for statement in statements:
                connection.execute(statement)
        finally:
            connection.rollback()

    wanted = variables.get("tenants") or known
    done = isolate(work, [tenant for tenant in wanted if tenant not in left_out], lambda: known)
    if not done.results and len(done.failures) > 1 and len({failure.message for failure in done.failures}) == 1:
        return []
    return [Failure(one.tenant, one.code, f"{node.name}: {one.message}"[:500]) for one in done.failures]


def _leave_out(connection: psycopg.Connection[Any], tenants: Sequence[str]) -> None:
    connection.execute("select set_config('valueverse.left_out', %s, true)", [json.dumps(dict.fromkeys(tenants, 1))])


def _rows_of_test(node: Node) -> sql.Composed:
    return sql.SQL("select count(*) from ({}) as failing").format(sql.SQL(node.code))


def _table_of_model(node: Node, variables: Mapping[str, Any]) -> list[sql.Composed]:
    """A temporary table with the mart's columns, key and indexes, and its rows put in."""
    columns = list(node.properties["columns"].values())
    probe_columns = sql.SQL(", ").join(
        sql.SQL("{} {} {}").format(
            sql.Identifier(column["name"]),
            sql.SQL(column["data_type"]),
            sql.SQL("not null" if any(one["type"] == "not_null" for one in column["constraints"]) else ""),
        )
        for column in columns
    )
    names = sql.SQL(", ").join(sql.Identifier(column["name"]) for column in columns)
    values = sql.SQL(", ").join(
        sql.SQL("cast(model_rows.{} as {})").format(sql.Identifier(column["name"]), sql.SQL(column["data_type"]))
        for column in columns
    )
    config = node.properties["config"]
    keys = [config["unique_key"], *(index["columns"] for index in config.get("indexes") or [])]
    indexes = [
        sql.SQL("create {} index on mart_probe ({})").format(
            sql.SQL("" if place else "unique"), sql.SQL(", ").join(map(sql.Identifier, key))
        )
        for place, key in enumerate(keys)
    ]
    return [
        sql.SQL("create temporary table mart_probe ({}) on commit drop").format(probe_columns),
        *indexes,
        sql.SQL("insert into mart_probe ({}) select {} from ({}) as model_rows where {}").format(
            names, values, sql.SQL(node.code), _in_slice(config, variables)
        ),
    ]


def _in_slice(config: Mapping[str, Any], variables: Mapping[str, Any]) -> sql.Composable:
    """The rows that the run publishes, as the macro ``in_slice`` has it."""
    month = config.get("slice_month")
    wanted: list[sql.Composable] = [sql.SQL("true")]
    for name, comparison in (("periods_from", ">="), ("periods_to", "<=")):
        if month and variables.get(name):
            first = sql.Literal(f"{variables[name][:7]}-01")
            wanted.append(
                sql.SQL("model_rows.{} {} {}::date").format(sql.Identifier(month), sql.SQL(comparison), first)
            )
    if config.get("release_gate", True):
        slices = "slices.slice_month = model_rows.{}" if month else "slices.is_latest"
        wanted.append(
            sql.SQL(
                "exists (select from intermediate.int_released_slices as slices "
                f"where slices.tenant_id = model_rows.tenant_id and {slices})"
            ).format(*([sql.Identifier(month)] if month else []))
        )
    return sql.SQL(" and ").join(wanted)
