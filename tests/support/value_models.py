"""Small value models for tests, written as the differences from the least model there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from valueverse.documents import DocumentError
from valueverse.value.architect.compiler.program import compile_model
from valueverse.value.architect.document.model import SCHEMA
from valueverse.value.architect.document.parsing import parse_model

if TYPE_CHECKING:
    from valueverse.documents import Problem
    from valueverse.value.architect.program_ir import Program

EXAMPLE = """\
schema: valueverse.value_model/v1
model: support_deflection
currency: USD
axis: {grain: month, start: commit.start, periods: 36, discount: {rate: 0.10, compounding: effective, timing: end}}
units: {base: [user, ticket, agent]}
inputs:
  tickets_0:
    {unit: ticket/month, bind: {metric: usage.tickets, agg: sum, window: 3 months, freeze: baseline}, missing: error}
  tickets:   {unit: ticket/month, bind: {metric: usage.tickets, agg: sum}, missing: {carry_forward: 2 months}}
  cost_tick: {unit: USD/ticket, dist: {pert: [8, 11, 15]}, evidence: [e3], owner: customer}
  adoption:  {unit: 1, dist: {interval90: [0.5, 0.9], family: normal, clip: [0, 1]}}
  licence:   {unit: USD/month, bind: {metric: billing.invoiced_net}}
correlations: [{between: [adoption, cost_tick], rho: -0.3}]
variables:
  ramp:    {unit: 1, expr: "min(1, t / 6)"}
  avoided: {unit: ticket/month, expr: "max(tickets_0 - tickets, 0) * adoption"}
  users:   {unit: user, expr: "prev(users, init=100) * (1 - 0.02) + 5"}
drivers:
  deflection: {kind: cost_saving, expr: "avoided * cost_tick * ramp", risk: 0.2, attribution: 0.8, decay: 0.0}
costs: {licence: {expr: licence}, setup: {expr: "150000", at: 0}}
scenarios: {conservative: {adoption: 0.5}, base: {}, stretch: {adoption: 0.9}}
outputs: [roi, npv, irr, payback, total_benefit, total_cost,
          {percentiles: [5, 50, 95]}, tornado, sobol, {probability: "npv > 0"}]
pricing: {output: realised.deflection, share: 0.25, floor: "60000 USD/year", cap: "600000 USD/year",
          period: quarter, true_up: cumulative, dispute_days: 30}
"""
"""The example of the language reference."""


def model_text(**sections: Any) -> str:
    """A model in YAML; ``currency``, 12 months and a few base units by default."""
    tree: dict[str, Any] = {
        "schema": SCHEMA,
        "model": "tried",
        "currency": "USD",
        "axis": {"grain": "month", "periods": 12},
        "units": {"base": ["user", "ticket"]},
    }
    return yaml.safe_dump(tree | sections, sort_keys=False)


def compiled(**sections: Any) -> Program:
    """The model compiled."""
    return compile_model(parse_model(model_text(**sections)))


def problems_of(text: str) -> list[Problem]:
    """What is wrong with a model; empty: nothing."""
    try:
        compile_model(parse_model(text))
    except DocumentError as error:
        return list(error.problems)
    return []


def refused(**sections: Any) -> list[Problem]:
    """What is wrong with a model given by its sections."""
    return problems_of(model_text(**sections))


def only(problems: list[Problem]) -> Problem:
    """The one problem there is."""
    assert len(problems) == 1, problems
    return problems[0]


def saved_model(missing: str = "zero") -> dict[str, Any]:
    """A model of what tokens save, of which a fifth is charged each month.

    Args:
        missing: what a month without usage comes to.
    """
    return {
        "schema": "valueverse.value_model/v1",
        "model": "saved",
        "currency": "USD",
        "axis": {"grain": "month", "start": "commit.start", "periods": 12, "discount": {"rate": 0.1}},
        "units": {"base": ["token"]},
        "inputs": {
            "tokens": {"unit": "token/month", "bind": {"metric": "usage.tokens", "agg": "sum"}, "missing": missing},
            "licence": {"unit": "USD/month", "bind": {"metric": "billing.invoiced_net"}, "missing": "zero"},
            "worth": {"unit": "USD/token", "value": 0.5},
        },
        "drivers": {"saving": {"kind": "cost_saving", "expr": "tokens * worth"}},
        "costs": {"licence": "licence"},
        "scenarios": {"agreed": {"tokens": 80, "licence": 10}, "base": {}},
        "outputs": ["npv", "roi"],
        "pricing": {"output": "realised.saving", "share": 0.2, "period": "month"},
    }
