"""What came of a commit: metrics from the platform, the committed model run on them, and the fee they come to."""

from valueverse.value.realisation.case_runs import (
    CaseRun,
    Commitment,
    agreed_run,
    inputs_without_agreed_value,
    repeated_cases,
    run_cases,
    truncated_program,
)
from valueverse.value.realisation.drilldown import cost_sources, subscription_sources, usage_sources
from valueverse.value.realisation.explain import Explained, explain_output
from valueverse.value.realisation.fees import FeeTerms, outcome_charges
from valueverse.value.realisation.mart_metric_rules import check_columns, registered_metrics, valid_metric_values
from valueverse.value.realisation.metrics import (
    COST,
    active_customers,
    billing_metrics,
    cost_to_serve,
    months_of,
    recorded_costs,
    usage_metrics,
)
from valueverse.value.realisation.proposal_status import judge_verdict
from valueverse.value.realisation.proposals import (
    Agreement,
    MeasuredMonth,
    last_month,
    missing_proposals,
    months_to_measure,
    proposal_states,
    start_of_day,
)
from valueverse.value.realisation.recurring import contracted_mrr, recurring_sources
from valueverse.value.realisation.sources import assumed_inputs, run_inputs
from valueverse.value.realisation.supersession import Agreed, conflicting_commit, takeover_months
from valueverse.value.realisation.variance import explain_variance

__all__ = [
    "COST",
    "Agreed",
    "Agreement",
    "CaseRun",
    "Commitment",
    "Explained",
    "FeeTerms",
    "MeasuredMonth",
    "active_customers",
    "agreed_run",
    "assumed_inputs",
    "billing_metrics",
    "check_columns",
    "conflicting_commit",
    "contracted_mrr",
    "cost_sources",
    "cost_to_serve",
    "explain_output",
    "explain_variance",
    "inputs_without_agreed_value",
    "judge_verdict",
    "last_month",
    "missing_proposals",
    "months_of",
    "months_to_measure",
    "outcome_charges",
    "proposal_states",
    "recorded_costs",
    "recurring_sources",
    "registered_metrics",
    "repeated_cases",
    "run_cases",
    "run_inputs",
    "start_of_day",
    "subscription_sources",
    "takeover_months",
    "truncated_program",
    "usage_metrics",
    "usage_sources",
    "valid_metric_values",
]
