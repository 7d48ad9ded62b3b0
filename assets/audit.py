"""The audit log: what was done, in one order per tenant, signed; and the check that it is whole."""
# No postponed annotations here: Dagster reads the types of config and resources when it is imported.

import dagster as dg
import polars as pl
from pydantic import Field

from assets.asset_helpers import PLATFORM, Result, fresh
from assets.check_results import no_rows
from assets.metadata import preview
from assets.resources import Platform
from valueverse.services.audit.sign_log import sign_log

AUDIT_LOG = dg.AssetKey(["audit", "log"])
_WHOLE = "audit_log_is_whole"


class AuditConfig(dg.Config):
    """Which logs are verified."""

    whole: bool = Field(default=True, description="Verify every tenant's log; else of those with new entries alone.")


@dg.asset(
    key=AUDIT_LOG,
    group_name="audit",
    description="Who did what, in one hash chain and one Merkle tree per tenant; checkpoints are signed.",
    owners=PLATFORM,
    kinds={"postgres"},
    code_version="1",
    freshness_policy=fresh(26),
    pool="audit",
    check_specs=[
        dg.AssetCheckSpec(
            _WHOLE, asset=AUDIT_LOG, description="Entries, chains and signed checkpoints agree; else where they do not."
        )
    ],
)
def audit_log(config: AuditConfig, platform: Platform) -> Result:
    """Put what was submitted since in order, verify it, sign what has grown."""
    done = sign_log(platform.settings, whole=config.whole)
    signed = pl.DataFrame(sorted(done.signed.items()), {"tenant": pl.String(), "entries": pl.Int64()}, orient="row")
    return dg.MaterializeResult(
        asset_key=AUDIT_LOG,
        metadata={"dagster/row_count": sum(done.entries.values()), "checkpoints": preview(signed, 40)},
        check_results=[no_rows(AUDIT_LOG, _WHOLE, done.findings, dg.AssetCheckSeverity.ERROR)],
    )
