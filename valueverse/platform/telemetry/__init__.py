"""What operators see of running processes: log lines, metrics, traces."""

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable: the folder that processes count into. prometheus-client reads it when it is imported."""
