"""When things run: the Dagster code location with its jobs, schedules and sensors."""
