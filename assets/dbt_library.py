"""Dagster's library for dbt, without dbt's own packages: dbt runs in a process of its own.

The library works without them, as beside another engine of dbt. It would import them with the code location, in the
daemon, the web server and each run, and load project and adapter before each build, to ask the warehouse about
columns and rows, which no asset of ours does. See docs/decisions/1675-dbt-runs-in-a-process-of-its-own.md.
"""
# No postponed annotations here: Dagster reads the types of resources when it is imported.

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_ASKED_FOR = "dbt.version"
"""The module by which the library finds out whether dbt's packages are installed."""


@contextmanager
def _hidden(name: str) -> Iterator[None]:
    """As if a module were not installed."""
    modules: dict[str, Any] = sys.modules
    before = modules.get(name)
    modules[name] = None
    try:
        yield
    finally:
        del modules[name]
        if before is not None:
            modules[name] = before


with _hidden(_ASKED_FOR):
    from dagster_dbt import (
        DagsterDbtTranslator,
        DagsterDbtTranslatorSettings,
        DbtCliResource,
        DbtProject,
        dbt_assets,
    )


class DbtProgram(DbtCliResource):
    """The resource, which starts the program and makes no adapter in this process."""

    def _initialize_dbt_core_adapter(self, *_given: Any, **_named: Any) -> Any:
        """None, as where dbt's packages are missing: without the warning that the library logs then."""
        return None


__all__ = ["DagsterDbtTranslator", "DagsterDbtTranslatorSettings", "DbtProgram", "DbtProject", "dbt_assets"]
