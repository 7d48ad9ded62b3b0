"""``python -m pipelines.environment``: shell lines that point ``dagster`` to this installation's instance."""

from __future__ import annotations

import shlex
import sys

from valueverse.platform.servers import dagster_home
from valueverse.platform.settings import get_settings


def main() -> None:
    """Write one ``export`` per variable."""
    settings = get_settings()
    dagster_home.prepare(settings)
    for name, value in dagster_home.environment(settings).items():
        sys.stdout.write(f"export {name}={shlex.quote(value)}\n")


if __name__ == "__main__":
    main()
