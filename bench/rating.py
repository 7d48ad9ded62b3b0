"""Rows ``rate``, ``rate mixed`` and ``growth``: the typed usage table to priced invoice lines, against one DuckDB scan.

Ours: read the usage table, meter every subscription's closing period, choose charges, price them, round the lines.
Peer: DuckDB scans the same file and groups it to the same grain (tenant, customer, meter), and does nothing else.
"""

from __future__ import annotations

import gc
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl

from valueverse.catalog.history import CatalogHistory
from valueverse.invoicing.usage_lines import usage_lines
from valueverse.invoicing.workload import Workload
from valueverse.metering.schema import USAGE

TENANTS, SUBSCRIPTIONS = 1_000, 20_000
MONTH = (datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))
TIERS = [{"up_to": "10000", "unit": "0.0030"}, {"up_to": "100000", "unit": "0.0020"}, {"up_to": None, "unit": "0.0010"}]
