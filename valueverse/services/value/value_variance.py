"""What separates the committed from the realised value, input by input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import date

    from valueverse.platform.stores.tenant_records import TenantRecords


def difference(records: TenantRecords, commit: str, month: date | None, asked: dict[str, Any]) -> dict[str, Any]:
    """The variance as data: amounts as exact decimal texts, shares that add up to the difference.

    Args:
        records: of the tenant whose commit it is.
        commit: its id, or the beginning of it.
        month: first day of the month; None: the last one measured.
        asked: ``cases`` (from, to), ``output``, ``period`` (None: to date).

    Raises:
        RefusalError: ``unknown_commit``, ``ambiguous_commit``, ``not_measured``, or as ``explain_variance``.
    """
    from valueverse.services.value.stored_runs import stored_runs
    from valueverse.value.realisation import explain_variance

    before, after = stored_runs(records, commit, month, list(asked["cases"]))
    commitment = before.commitment
    found = explain_variance(commitment, before.run, after.run, asked["output"], period=asked["period"])
    report: dict[str, Any] = {
        "tenant": records.tenant,
        "commit": before.commitment.commit,
        "model": before.commitment.program.model,
    }
    report |= {"month": f"{before.month:%Y-%m}", "output": found.output, "unit": found.unit}
    report |= {"from": asked["cases"][0], "to": asked["cases"][1], "runs": [before.run_hash, after.run_hash]}
    report |= {"period": found.period, "to_date": found.to_date, "method": found.method}
    report |= dict(zip(("before", "after", "difference"), (f"{one:f}" for one in found.shown), strict=True))
    return report | {
        "shares": [
            {
                "input": one.input,
                "unit": one.unit,
                "before": one.before,
                "after": one.after,
                "share": f"{one.shown:f}",
                "exact": f"{one.share.numerator}/{one.share.denominator}",
            }
            for one in found.shares
        ]
    }
