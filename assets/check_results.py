"""Results of asset checks; one that did not pass carries the section of its runbook."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.metadata import preview

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

RUNBOOK = "docs/runbooks/checks.md"
"""A section per check: its heading is the check's name."""
DBT_TEST = "dbt_test"
"""The section of all tests of the dbt project."""
_ROOT = Path(__file__).parents[1]
_EXAMPLES = 3


def result(
    asset: dg.AssetKey,
    check: str,
    *,
    passed: bool,
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.WARN,
    description: str | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> dg.AssetCheckResult:
    """The result of a check. A warning by default: what one tenant's data causes must not stop the others."""
    return dg.AssetCheckResult(
        check_name=check,
        asset_key=asset,
        passed=passed,
        severity=severity,
        description=description,
        metadata={**(metadata or {}), **({} if passed else what_to_do(check))},
    )


def no_rows(
    asset: dg.AssetKey,
    check: str,
    wrong: pl.DataFrame,
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.WARN,
) -> dg.AssetCheckResult:
    """The result of a check that passes when nothing is found; what is found is shown."""
    return result(
        asset,
        check,
        passed=wrong.is_empty(),
        severity=severity,
        description=None if wrong.is_empty() else _in_a_sentence(wrong),
        metadata={"wrong": wrong.height, "rows": preview(wrong, 40)},
    )


def _in_a_sentence(wrong: pl.DataFrame) -> str:
    """``2 rows: tenant acme, reason unknown_plan; ...``."""
    found = [
        ", ".join(f"{name} {value}" for name, value in row.items() if value is not None)
        for row in wrong.head(_EXAMPLES).to_dicts()
    ]
    more = ["..."] if wrong.height > _EXAMPLES else []
    return f"{wrong.height} row{'s' * (wrong.height > 1)}: {'; '.join([*found, *more])}"


def what_to_do(check: str) -> dict[str, Any]:
    """Metadata of a check that did not pass: where its runbook is, and the text of its section."""
    text = sections().get(check)
    shown = {} if text is None else {"what_to_do": dg.MetadataValue.md(text)}
    return {"runbook": dg.MetadataValue.path(runbook_of(check)), **shown}


def runbook_of(check: str) -> str:
    """``docs/runbooks/checks.md#name``."""
    return f"{RUNBOOK}#{check}"


@cache
def sections() -> dict[str, str]:
    """The runbook's sections by their headings; none where the documents are not installed."""
    path = _ROOT / RUNBOOK
    if not path.is_file():
        return {}
    parts = re.split(r"^## `?(\w+)`?\n", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    # A link would lead into Dagster's own pages there: the file is named instead.
    return {
        heading: re.sub(r"\[([^]]+)\]\(([^):]+)\)", rf"\1 ({Path(RUNBOOK).parent}/\2)", text.strip())
        for heading, text in zip(parts[1::2], parts[2::2], strict=True)
    }
