"""The dbt project as assets: staging, intermediate and marts of released tenants; its tests are checks."""
# No postponed annotations here: Dagster reads the types of config and resources when it is imported.

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from pydantic import Field

from assets.asset_helpers import ANALYTICS, code_in, fresh, mark, newest
from assets.billing import INVOICES
from assets.check_results import DBT_TEST, what_to_do
from assets.dbt_library import (
    DagsterDbtTranslator,
    DagsterDbtTranslatorSettings,
    DbtProgram,
    DbtProject,
    dbt_assets,
)
from assets.held import CHECK, held_check
from assets.ingestion import LANDING
from assets.journal import JOURNAL
from assets.partitions import MONTHLY
from assets.quality import RELEASE
from assets.resources import Platform, TenantsConfig
from assets.value import REALISATION
from valueverse.platform.isolation import Isolated
from valueverse.platform.settings import Settings
from valueverse.services.marts.attempts import Attempts
from valueverse.services.marts.dbt_project import DBT, PROJECT, dbt_environment, manifest
from valueverse.services.marts.row_counts import rows_of
from valueverse.services.months import FIRST_DAY
from valueverse.services.tenant_holds import MARTS as STAGE
from valueverse.services.tenant_holds import held_tenants

MANIFEST = manifest()
_VALUE = ("commit", "approval", "closing", "metric", "run", "result", "proposal", "verdict")
_WRITTEN_BY = {
    **dict.fromkeys(_VALUE, REALISATION),
    "ingestion_file": LANDING,
    "quarantine_summary": LANDING,
    "journal_entry": JOURNAL,
    "journal_posting": JOURNAL,
    "release": RELEASE,
    "reconciliation": RELEASE,
}


DIM_TENANT = dg.AssetKey(["marts", "dim_tenant"])
PUBLISHED = dg.AssetKey(["quality", "published"])

published = dg.AssetSpec(
    key=PUBLISHED,
    group_name="quality",
    description="Months whose newest release every mart shows; marked once all models and tests have ended well.",
    partitions_def=MONTHLY,
    deps=[RELEASE],
    owners=ANALYTICS,
    kinds={"dbt", "postgres"},
    code_version="1",
    metadata=code_in(__file__),
)


_LONGEST = 100_000
"""Characters of the keys of tenants that are asked for by name."""


class MartsConfig(TenantsConfig):
    """What to publish; empty means everything that is released."""

    periods_from: str = Field(default="", description="First month, e.g. '2023-11'.", pattern=r"^(\d{4}-\d{2})?$")
    periods_to: str = Field(default="", description="Last month, included.", pattern=r"^(\d{4}-\d{2})?$")

    def variables(self) -> dict[str, Any]:
        """The project's vars."""
        # They are part of one argument of a command, of which the kernel takes 128 KiB: beyond it, of all tenants.
        few = sum(map(len, self.tenants)) < _LONGEST
        given: dict[str, Any] = {"tenants": self.tenants if few else []}
        return given | {name: value for name in ("periods_from", "periods_to") if (value := getattr(self, name))}

    def is_whole(self) -> bool:
        """Whether all months are asked for."""
        return not (self.periods_from or self.periods_to)

    def covers(self, month: str) -> bool:
        """Whether a monthly partition is asked for whole; the first one holds all months before it too."""
        after = not self.periods_from or (month[:7] >= self.periods_from and month != FIRST_DAY.isoformat())
        return after and (not self.periods_to or month[:7] <= self.periods_to)


class _Translator(DagsterDbtTranslator):
    """Names and groups as the other assets have them; a source is the asset that writes its table."""

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None) -> dg.AssetSpec:
        spec = super().get_asset_spec(manifest, unique_id, project)
        resource = self.get_resource_props(manifest, unique_id)
        if resource["resource_type"] == "source":
            return spec.replace_attributes(key=_WRITTEN_BY.get(resource["name"], INVOICES))
        layer = resource["fqn"][1] if resource["resource_type"] == "model" else resource["resource_type"]
        return spec.replace_attributes(
            key=dg.AssetKey([layer, resource["name"]]),
            # Seeds are read by models as the sources are.
            group_name="staging" if layer == "seed" else layer,
            description=resource["description"],
            metadata={**spec.metadata, **code_in(PROJECT / resource["original_file_path"])},
            owners=ANALYTICS,
            kinds={"dbt", "postgres"},
            freshness_policy=fresh(26),
        )


_OF_THE_DATA = ("--exclude-resource-type", "unit_test")
"""Unit tests judge the SQL on rows of their own: `make test` runs them, and a build would end later by a tenth."""


@dbt_assets(
    manifest=MANIFEST,
    name="dbt_models",
    dagster_dbt_translator=_Translator(DagsterDbtTranslatorSettings(enable_duplicate_source_asset_keys=True)),
    pool="marts",
)
def dbt_models(
    context: dg.AssetExecutionContext, config: MartsConfig, platform: Platform, dbt: DbtProgram
) -> Iterator[Any]:
    """``dbt build`` of the models asked for: each model, then its tests.

    A tenant whose rows make a model or a test fail is held, and left out of the next attempt. A run that ends before
    its last model leaves no month marked as published, whatever it has built.
    """
    settings = platform.settings
    decided = newest(context.instance, RELEASE)
    # Some months do not show that a tenant is fixed: that takes a run for all of them.
    before = [] if config.is_whole() else held_tenants(settings, STAGE)
    attempts = Attempts(settings, config.variables(), context.run.run_id, before)
    with dbt_environment(settings):
        yield from _built(context, dbt, attempts)
    attempts.record(datetime.now(UTC), is_whole=config.is_whole(), chosen=config.chosen())
    if config.chosen() is None:
        # A month that was decided again meanwhile may not be shown by the marts that were built first.
        after = newest(context.instance, RELEASE)
        shown = [month for month, release in decided.items() if config.covers(month) and after[month] == release]
        result = Isolated([], attempts.failures).outcome
        mark(context, PUBLISHED, sorted(shown), {"outcome": result})


def _built(context: dg.AssetExecutionContext, dbt: DbtProgram, attempts: Attempts) -> Iterator[Any]:
    """The events of one build, in as many attempts as there are sets of tenants to leave out."""
    given: set[Any] = set()
    while True:
        number = len(attempts.failures)
        target = attempts.settings.home / "dbt" / context.run.run_id / str(number)
        build = dbt.cli(
            ["build", *_OF_THE_DATA, "--vars", attempts.as_vars()],
            context=context,
            target_path=target,
            raise_on_error=False,
        )
        failing = []
        for event in build.stream():
            key = _key(event)
            if isinstance(event, dg.AssetCheckResult) and not event.passed:
                failing.append(_with_runbook(event))
            elif key is None or key not in given:
                given.add(key)
                yield _counted(context, attempts.settings, event)
        if (error := build.get_error()) is None:
            return
        if not attempts.learn(target):
            yield from failing
            raise error
        names = ", ".join(failure.tenant for failure in attempts.failures[number:])
        context.log.warning("The marts are built without %s: their rows make a model or a test fail.", names)


def _counted(context: dg.AssetExecutionContext, settings: Settings, event: Any) -> Any:
    """The output of a mart with the rows it holds then; other events as they are: to count a view is to run it."""
    # The library's own count names the database of the manifest, which need not be this one.
    if not isinstance(event, dg.Output):
        return event
    layer, name = context.asset_key_for_output(event.output_name).path
    if layer != "marts":
        return event
    return event.with_metadata({**event.metadata, "dagster/row_count": rows_of(settings, name)})


def _with_runbook(failed: dg.AssetCheckResult) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=failed.check_name,
        asset_key=failed.asset_key,
        passed=failed.passed,
        severity=failed.severity,
        description=failed.description,
        metadata={**failed.metadata, **what_to_do(DBT_TEST)},
    )


def _key(event: Any) -> tuple[str, str] | None:
    """What an event may be given once for: an output or a check; None: any number of times."""
    if isinstance(event, dg.Output):
        return ("output", event.output_name)
    if isinstance(event, dg.AssetCheckResult):
        return (str(event.asset_key), str(event.check_name))
    return None


@dg.asset_check(
    asset=DIM_TENANT,
    name=CHECK,
    description="No tenant is held by the marts; else who, since when and why.",
)
def no_tenant_is_held_by_the_marts(platform: Platform) -> dg.AssetCheckResult:
    """A warning: the marts of all others are finished."""
    return held_check(platform, DIM_TENANT, STAGE)


def dbt_resource() -> DbtProgram:
    """The dbt of this environment on the project of this checkout."""
    return DbtProgram(project_dir=str(PROJECT), profiles_dir=str(PROJECT), dbt_executable=DBT)
