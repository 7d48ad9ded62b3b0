"""Writes the manifest of rights from a freshly migrated database: run it after every change of a migration.

    python -m tests.security_manifest    # or: make security-manifest

Read the difference before committing it: each line is a right, a policy, a trigger or a bound.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.support import shared_servers
from valueverse.platform import warehouse
from valueverse.platform.access import manifest

PATH = Path(manifest.__file__).with_name("manifest.tsv")


def main() -> None:
    """Start a server, migrate, write."""
    for name in [name for name in os.environ if name.startswith("VALUEVERSE_")]:
        del os.environ[name]
    shared_servers.begin()
    try:
        with shared_servers.own_cluster() as settings, warehouse.connect(settings, "admin") as connection:
            row = connection.execute(manifest.QUERY.encode()).fetchone()
        assert row is not None
        PATH.write_text(manifest.rendered(manifest.facts_of(row[0])), encoding="utf-8")
    finally:
        shared_servers.end()
    sys.stdout.write(f"{PATH}: {len(PATH.read_text(encoding='utf-8').splitlines())} facts\n")


if __name__ == "__main__":
    main()
