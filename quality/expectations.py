"""Great Expectations over the billing tables in Postgres: the rules as suites, results per tenant."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl
from psycopg import sql

from quality.late_imports import imported_late
from quality.month_slices import known_zones, month_of, rows_of
from quality.rules import RULES, SCOPES
from valueverse.platform.warehouse import connect
from valueverse.schemas.checks import FINDINGS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import psycopg

    from quality.period import Month
    from quality.rule import Rule
    from valueverse.platform.settings import Settings

_SITE = "billing"
"""The one site of data docs that is built; a context also knows one in a temporary folder."""


@dataclass(frozen=True)
class Judgement:
    """What the suites found, and the context that can render it."""

    findings: pl.DataFrame
    context: Any

    def build_docs(self, folder: Path) -> None:
        """Render the results into a folder, replacing what is there."""
        self.context.add_data_docs_site(_SITE, _site(folder))
        self.context.build_data_docs(site_names=[_SITE])


def judge(settings: Settings, months: Sequence[Month], tenants: Sequence[str] | None) -> Judgement:
    """Validate every suite on the months' rows of ``tenants`` (None: of all), each month's rows by themselves.

    Args:
        settings: Where Postgres is; the builder's login reads.
        months: The months that are to be published.
        tenants: Tenant keys, or None.
    """
    gx = _great_expectations()
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    source = context.data_sources.add_postgres("warehouse", connection_string=_address(settings))
    found: list[dict[str, Any]] = []
    with connect(settings, "builder") as connection:
        zones, validations, batches = known_zones(connection), [], {}
        for table in SCOPES:
            batches[table] = rows_of(table, tenants).as_string(connection)
            definition = source.add_query_asset(table, batches[table]).add_batch_definition_whole_table("months")
            expectations = [_expectation(gx, connection, rule, months, zones) for rule in RULES if rule.table == table]
            # A suite that is added whole is stored once.
            suite = context.suites.add(gx.ExpectationSuite(name=f"billing.{table}", expectations=expectations))
            validation = gx.ValidationDefinition(name=f"billing.{table}", data=definition, suite=suite)
            validations.append(context.validation_definitions.add(validation))
        checkpoint = gx.Checkpoint(name="billing", validation_definitions=validations, result_format="COMPLETE")
        for result in context.checkpoints.add(checkpoint).run().run_results.values():
            for one in result.results:
                found += _findings(connection, one, batches)
    return Judgement(pl.DataFrame(found, schema=FINDINGS, orient="row"), context)


def _great_expectations() -> Any:
    # Read when the package is imported: nothing about a run is sent anywhere.
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    # Distributions and their charts, which no rule of ours asks for, take two fifths of its import.
    with imported_late("scipy.stats", "altair"):
        import great_expectations as gx

    return gx


def _address(settings: Settings) -> str:
    # Great Expectations refuses a URL without a host; the socket's folder in ?host= still wins over it.
    url = settings.postgres_url("builder").replace("postgresql://", "postgresql+psycopg2://", 1)
    return url.replace("@/", "@localhost/", 1)


def _expectation(
    gx: Any, connection: psycopg.Connection[Any], rule: Rule, months: Sequence[Month], zones: Sequence[str]
) -> Any:
    return gx.expectations.UnexpectedRowsExpectation(
        unexpected_rows_query=per_month_and_tenant(connection, rule, months, zones),
        description=rule.sentence,
        meta={"rule": rule.name, "table": rule.table},
    )


def per_month_and_tenant(
    connection: psycopg.Connection[Any], rule: Rule, months: Sequence[Month], zones: Sequence[str]
) -> str:
    """A query over ``{batch}``, rows of the rule's table: period, tenant_id, broken_rows, example.

    The rule is asked of each month's rows by themselves. The results keep 200 rows at most, so they hold a row per
    month and tenant and not one per broken row.
    """
    if SCOPES[rule.table] == "tenant":
        periods = sql.SQL(", ").join(sql.SQL("({})").format(sql.Literal(month.key)) for month in months)
        every = sql.SQL("cross join (values {}) as months (period)").format(periods).as_string(connection)
        broken = f"select months.period, rule.tenant_id, rule.example from ({rule.query}) as rule {every}"  # noqa: S608 - see RULES
    else:
        broken = " union all ".join(_in_month(connection, rule, month, zones) for month in months)
    return (
        "select broken.period, cast(broken.tenant_id as text) as tenant_id, count(*) as broken_rows, "  # noqa: S608 - see RULES
        f"min(broken.example) as example from ({broken}) as broken "
        "group by broken.period, broken.tenant_id order by 1, 2"
    )


def _in_month(connection: psycopg.Connection[Any], rule: Rule, month: Month, zones: Sequence[str]) -> str:
    condition = month_of(rule.table, month, zones).as_string(connection)
    rows = f'(select "{rule.table}".* from {{batch}} as "{rule.table}" where {condition})'  # noqa: S608 - names of SCOPES
    query = rule.query.replace("{batch}", rows)
    return f"select '{month.key}' as period, rule.tenant_id, rule.example from ({query}) as rule"  # noqa: S608 - see RULES


def _findings(connection: psycopg.Connection[Any], result: Any, batches: Mapping[str, str]) -> list[dict[str, Any]]:
    configuration = result.expectation_config
    rule, batch = configuration.meta["rule"], batches[configuration.meta["table"]]
    if result.success:
        return []
    rows = (result.result.get("details") or {}).get("unexpected_rows")
    if result.exception_info.get("raised_exception") or rows is None or not result.result.get("observed_value"):
        return [{"period": None, "tenant": None, "rule": rule, "rows": None, "example": "the check could not run"}]
    if len(rows) < int(result.result["observed_value"]):
        query = configuration.kwargs["unexpected_rows_query"].format(batch=f"({batch})")
        columns = ("period", "tenant_id", "broken_rows", "example")
        rows = [dict(zip(columns, row, strict=True)) for row in connection.execute(query)]
    return [
        {
            "period": row["period"],
            "tenant": row["tenant_id"],
            "rule": rule,
            "rows": row["broken_rows"],
            "example": row["example"],
        }
        for row in rows
    ]


def _site(docs: Path) -> dict[str, Any]:
    docs.mkdir(parents=True, exist_ok=True)
    return {
        "class_name": "SiteBuilder",
        "show_how_to_buttons": False,
        "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(docs)},
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        # The page of a result says what its suite expects; each section compiles all templates for itself.
        "site_section_builders": {"expectations": "None", "profiling": "None"},
    }
