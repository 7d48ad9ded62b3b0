"""Great Expectations over the billing tables in Postgres: the rules as suites, results per tenant."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl
import psycopg
from psycopg import sql

from quality.rules import RULES, SCOPES
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import LiteralString

    from quality.period import Month
    from quality.rule import Rule
    from valueverse.platform.settings import Settings

FINDINGS = {"tenant": pl.String, "rule": pl.String, "rows": pl.Int64, "example": pl.String}
"""One row per tenant and rule that it breaks. A null tenant: the rule could not be judged at all."""

# Where a month is cut. An invoice lies in the month of its tenant's calendar in which its period closes (it
# may end with the month's last instant); one made at a subscription's start lies in the month of that start.
# A time zone nobody knows is a finding of its own and must not stop the query.
_ZONE: LiteralString = (
    "case when exists (select from pg_timezone_names as zones where zones.name = owner.timezone) "
    "then owner.timezone else 'UTC' end"
)
_CLOSING: LiteralString = (
    "from billing.invoice as closing left join billing.tenant as owner "
    "on closing.tenant_id = owner.tenant_id cross join lateral "
    f"(select {{first}}::timestamp at time zone {_ZONE} as first, {{after}}::timestamp at time zone "
    f"{_ZONE} as after) as month "
    # no calendar is further from UTC than a day
    "where closing.period_to > {first}::timestamp at time zone 'UTC' - interval '1 day' "
    "and closing.period_from < {after}::timestamp at time zone 'UTC' + interval '1 day' "
    "and case closing.purpose "
    "when 'start' then closing.period_from >= month.first and closing.period_from < month.after "
    "else closing.period_to > month.first and closing.period_to <= month.after end"
)
_CUTS: dict[str, LiteralString] = {
    "tenant": "true",
    "day": "{table}.day >= {first}::date and {table}.day < {after}::date",
    "period": "{table}.period = {period}",
    "closing": (
        f"({{table}}.tenant_id, {{table}}.invoice_id) in (select closing.tenant_id, closing.invoice_id {_CLOSING})"
    ),
    "booked": (
        "{table}.invoice is null or ({table}.tenant_id, {table}.invoice) in "
        f"(select closing.tenant_id, closing.number {_CLOSING})"
    ),
}

# An orphan line has no invoice whose period could be looked at: it belongs to every month.
_ORPHANS: LiteralString = (
    " or not exists (select from billing.invoice as parent where parent.tenant_id = {table}.tenant_id "
    "and parent.invoice_id = {table}.invoice_id)"
)


@dataclass(frozen=True)
class Judgement:
    """What the suites found, and the context that can render it."""

    findings: pl.DataFrame
    context: Any


def judge(settings: Settings, month: Month, tenants: Sequence[str] | None, docs: Path | None = None) -> Judgement:
    """Validate every suite on the month's rows of ``tenants`` (None: of all).

    Args:
        settings: Where Postgres is; the builder's login reads.
        month: The month that is to be published.
        tenants: Tenant keys, or None.
        docs: Folder of the data docs that are to show the results, or None.
    """
    gx = _great_expectations()
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    if docs is not None:
        context.add_data_docs_site("billing", _site(docs))
    source = context.data_sources.add_postgres("warehouse", connection_string=_address(settings))
    found: list[dict[str, Any]] = []
    with connect(settings, "builder") as connection:
        for table in SCOPES:
            rules = [rule for rule in RULES if rule.table == table]
            batch = _batch(connection, table, month, tenants)
            definition = source.add_query_asset(table, batch).add_batch_definition_whole_table("month")
            suite = context.suites.add(gx.ExpectationSuite(name=f"billing.{table}"))
            for rule in rules:
                suite.add_expectation(_expectation(gx, rule))
            validation = context.validation_definitions.add(
                gx.ValidationDefinition(name=f"billing.{table}", data=definition, suite=suite)
            )
            checkpoint = gx.Checkpoint(
                name=f"billing.{table}", validation_definitions=[validation], result_format="COMPLETE"
            )
            result = context.checkpoints.add(checkpoint).run()
            for one in next(iter(result.run_results.values())).results:
                found += _findings(connection, one, batch)
    return Judgement(pl.DataFrame(found, schema=FINDINGS, orient="row"), context)


def _great_expectations() -> Any:
    # Read when the package is imported: nothing about a run is sent anywhere.
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx

    return gx


def _address(settings: Settings) -> str:
    # Great Expectations refuses a URL without a host; the socket's folder in ?host= still wins over it.
    url = settings.postgres_url("builder").replace("postgresql://", "postgresql+psycopg2://", 1)
    return url.replace("@/", "@localhost/", 1)


def _expectation(gx: Any, rule: Rule) -> Any:
    return gx.expectations.UnexpectedRowsExpectation(
        unexpected_rows_query=_per_tenant(rule), description=rule.sentence, meta={"rule": rule.name}
    )


def _per_tenant(rule: Rule) -> str:
    # The results keep 200 rows at most, so they hold a row per tenant and not one per broken row.
    return (
        "select cast(broken.tenant_id as text) as tenant_id, count(*) as broken_rows, "  # noqa: S608 - see RULES
        "min(broken.example) as example "
        f"from ({rule.query}) as broken group by broken.tenant_id order by 1"
    )


def _batch(connection: psycopg.Connection[Any], table: str, month: Month, tenants: Sequence[str] | None) -> str:
    cut = _CUTS[SCOPES[table]] + (_ORPHANS if table == "invoice_line" else "")
    condition = sql.SQL(cut).format(
        table=sql.Identifier(table),
        first=sql.Literal(month.first.isoformat()),
        after=sql.Literal(month.after.isoformat()),
        period=sql.Literal(month.key),
    )
    chosen: sql.Composable = sql.SQL("true")
    if tenants is not None:
        chosen = sql.SQL("{}.tenant_id = any ({}::text[])").format(sql.Identifier(table), sql.Literal(list(tenants)))
    query = sql.SQL("select {table}.* from billing.{table} as {table} where {chosen} and ({condition})")
    return query.format(table=sql.Identifier(table), chosen=chosen, condition=condition).as_string(connection)


def _findings(connection: psycopg.Connection[Any], result: Any, batch: str) -> list[dict[str, Any]]:
    configuration = result.expectation_config
    rule = configuration.meta["rule"]
    if result.success:
        return []
    rows = (result.result.get("details") or {}).get("unexpected_rows")
    if result.exception_info.get("raised_exception") or rows is None or not result.result.get("observed_value"):
        return [{"tenant": None, "rule": rule, "rows": None, "example": "the check could not run"}]
    if len(rows) < int(result.result["observed_value"]):
        query = configuration.kwargs["unexpected_rows_query"].format(batch=f"({batch})")
        columns = ("tenant_id", "broken_rows", "example")
        rows = [dict(zip(columns, row, strict=True)) for row in connection.execute(query)]
    return [
        {"tenant": row["tenant_id"], "rule": rule, "rows": row["broken_rows"], "example": row["example"]}
        for row in rows
    ]


def _site(docs: Path) -> dict[str, Any]:
    docs.mkdir(parents=True, exist_ok=True)
    return {
        "class_name": "SiteBuilder",
        "show_how_to_buttons": False,
        "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(docs)},
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
    }
