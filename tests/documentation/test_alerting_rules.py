"""The alerting rules: read by a parser of PromQL, over metrics that exist, each with its runbook; and by promtool."""

from __future__ import annotations

import inspect
import re
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from serving_api import metrics
from valueverse.services.operations import installation_metrics

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "alerts"
GROUPS = yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"]
RULES: list[dict[str, Any]] = [rule for group in GROUPS for rule in group["rules"]]
ALERTS = [rule for rule in RULES if "alert" in rule]
BUDGET = Fraction("0.001")
HOURS = {"m": Fraction(1, 60), "h": Fraction(1), "d": Fraction(24)}
_METRIC = re.compile(r"\bvalueverse[_:][a-z0-9_:]+")


def hours(window: str) -> Fraction:
    return int(window[:-1]) * HOURS[window[-1]]


def known() -> set[str]:
    """Names of series that the code exports and of those that rules record."""
    found = {rule["record"] for rule in RULES if "record" in rule}
    for one in vars(metrics).values():
        if isinstance(one, MetricWrapperBase):
            found |= {one._name + end for end in {"counter": ["_total"], "histogram": ["_bucket"]}.get(one._type, [""])}
    source = inspect.getsource(installation_metrics)
    for kind, name in re.findall(r'(Counter|Gauge|_g|g)(?:MetricFamily|auge)\(\s*"(valueverse_[a-z_]+)"', source):
        found.add(f"{name}_total" if kind == "Counter" else name)
    return found


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_each_expression_is_promql_over_series_that_exist(rule: dict[str, Any]) -> None:
    promql_parser.parse(rule["expr"])
    named = set(_METRIC.findall(rule["expr"]))
    assert named
    assert named - known() == set()


def test_an_expression_that_is_none_is_noticed() -> None:
    with pytest.raises(ValueError, match="unclosed"):
        promql_parser.parse("sum(rate(x[5m])")


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_each_alert_has_a_severity_a_summary_and_a_runbook(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["summary"].endswith(".")
    page, anchor = rule["annotations"]["runbook"].split("#")
    headings = re.findall(r"^## (\w+)$", (ROOT / page).read_text(), re.MULTILINE)
    assert rule["alert"] in headings
    assert anchor == rule["alert"].lower()


def test_no_runbook_is_of_an_alert_that_is_gone() -> None:
    headings = re.findall(r"^## (\w+)$", (ROOT / "docs/runbooks/alerts.md").read_text(), re.MULTILINE)
    assert headings == [rule["alert"] for rule in ALERTS]


def test_burn_rates_are_of_two_windows_and_use_the_share_of_the_budget_that_their_summary_states() -> None:
    (group,) = [group for group in GROUPS if group["name"] == "valueverse-burn-rate"]
    for rule in group["rules"]:
        found = re.findall(r"ratio_rate(\w+) > ([\d.]+) \* ([\d.]+)", rule["expr"])
        (long, factor, budget), (short, factor_again, _) = found
        assert (Fraction(budget), factor) == (BUDGET, factor_again)
        assert " and " in " ".join(rule["expr"].split())
        assert hours(long) / hours(short) == 12
        used = hours(long) * Fraction(factor) / (30 * 24)
        assert rule["annotations"]["summary"].startswith(f"{used * 100} % of a month's errors")


@pytest.mark.parametrize("verb", [["check", "rules", "rules.yml"], ["test", "rules", "rules_test.yml"]])
def test_promtool_takes_the_rules_and_their_tests_pass(verb: list[str]) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: apt install prometheus); the parser has read the rules")
    done = subprocess.run([promtool, *verb], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
