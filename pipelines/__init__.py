"""When things run: the Dagster code location with its jobs, schedules and sensors."""

from valueverse.platform.garbage import collect_rarely

collect_rarely()
