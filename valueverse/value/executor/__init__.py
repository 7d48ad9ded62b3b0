"""Executor: compiled value models, run. ``run.run_model`` gives what ``valueverse value run`` prints."""

from valueverse.value.executor.binding import bind_inputs, read_metrics, values_before
from valueverse.value.executor.comparison import METRICS, compared_values, money_difference
from valueverse.value.executor.customers import bind_customers
from valueverse.value.executor.evaluate import evaluate_program
from valueverse.value.executor.financial_metrics import Money, cash_flows, financial_metric, money_of
from valueverse.value.executor.limits import SHARED
from valueverse.value.executor.portfolio import portfolio_documents, run_portfolio
from valueverse.value.executor.run import RunRequest, check_request, run_model
from valueverse.value.executor.sampling import expected_value, quantiles

__all__ = [
    "METRICS",
    "SHARED",
    "Money",
    "RunRequest",
    "bind_customers",
    "bind_inputs",
    "cash_flows",
    "check_request",
    "compared_values",
    "evaluate_program",
    "expected_value",
    "financial_metric",
    "money_difference",
    "money_of",
    "portfolio_documents",
    "quantiles",
    "read_metrics",
    "run_model",
    "run_portfolio",
    "values_before",
]
