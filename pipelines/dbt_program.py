"""``dbt`` as Dagster starts it (dbt_project/dbt.sh): the same program, on the project that is already parsed."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version

from valueverse.errors import RefusalError


def main(arguments: list[str]) -> int:
    """Run dbt with these arguments; the return code."""
    if arguments == ["--version"]:
        # Dagster asks before each command, and importing dbt takes seconds.
        sys.stdout.write(f"Core:\n  - installed: {version('dbt-core')}\n")
        return 0
    from dbt.cli.main import cli

    from valueverse.services.marts.prepared_dbt import prepared

    try:
        parsed = prepared(os.environ["VALUEVERSE_DBT_DBNAME"])
    except RefusalError as refused:
        sys.stderr.write(f"{refused}\n")
        return 2
    return int(cli.main(args=arguments, prog_name="dbt", obj={"manifest": parsed}))  # ends the process itself


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
