"""From a model document to a ``Program``: names, units, cycles, correlations and outputs are checked."""

from valueverse.value.architect.compiler.outputs import FINANCIAL_METRICS, MONEY_METRICS
from valueverse.value.architect.compiler.pricing import read_limit
from valueverse.value.architect.compiler.program import compile_model

__all__ = ["FINANCIAL_METRICS", "MONEY_METRICS", "compile_model", "read_limit"]
