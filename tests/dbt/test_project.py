"""What holds for the dbt project as a whole, read from its manifest."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import iso4217
import pytest

from valueverse.money import minor_units
from valueverse.services.marts.dbt_project import DBT, PROJECT, manifest
from valueverse.services.marts.prepared_dbt import prepared

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def nodes() -> dict[str, Any]:
    return dict(json.loads(manifest().read_text(encoding="utf-8"))["nodes"])


@pytest.fixture(scope="module")
def models(nodes: dict[str, Any]) -> list[dict[str, Any]]:
    return [node for node in nodes.values() if node["resource_type"] == "model"]


def test_each_layer_reads_only_the_one_before(models: list[dict[str, Any]]) -> None:
    allowed = {
        "staging": {"source"},
        "intermediate": {"staging", "intermediate", "seed"},
        "marts": {"intermediate"},
    }
    layers = {model["unique_id"]: model["fqn"][1] for model in models}
    for model in models:
        for parent in model["depends_on"]["nodes"]:
            kind = parent.partition(".")[0]
            assert (layers[parent] if kind == "model" else kind) in allowed[model["fqn"][1]], model["name"]


def test_each_model_has_its_own_description_file_a_contract_and_a_tested_grain(
    nodes: dict[str, Any], models: list[dict[str, Any]]
) -> None:
    grains = {
        parent
        for node in nodes.values()
        if node["resource_type"] == "test" and node["name"].startswith("unique_combination_")
        for parent in node["depends_on"]["nodes"]
    }
    for model in models:
        beside = Path(model["original_file_path"]).with_suffix(".yml")
        assert (PROJECT / beside).is_file(), model["name"]
        assert model["contract"]["enforced"], model["name"]
        assert model["description"], model["name"]
        assert all(column["description"] for column in model["columns"].values()), model["name"]
        assert model["unique_id"] in grains, model["name"]


def test_every_window_and_every_join_of_a_model_carries_the_tenant(models: list[dict[str, Any]]) -> None:
    for model in models:
        code = re.sub(r"\s+", " ", model["raw_code"])
        for window in re.findall(r"partition by (.*?)(?:order by|\))", code):
            assert "tenant_id" in window, model["name"]
        for join in re.findall(r"join (\w+) on (.*?)(?= left join| inner join| where| group|\))", code):
            if join[0] not in {"currencies", "zones"}:
                assert "tenant_id" in join[1], f"{model['name']}: {join}"
        for grouping in re.findall(r"group by (.*?)\)", code):
            assert "tenant_id" in grouping, model["name"]


def test_every_amount_stands_beside_its_currency_and_none_is_a_float(models: list[dict[str, Any]]) -> None:
    for model in models:
        types = {name: column["data_type"] for name, column in model["columns"].items()}
        assert not {"real", "float", "double precision", "float8"} & set(types.values()), model["name"]
        if any(name.endswith("_minor") for name in types):
            assert "currency" in types, model["name"]


def test_the_seed_of_currencies_says_what_the_engine_rounds_by() -> None:
    with (PROJECT / "seeds" / "currencies.csv").open(encoding="utf-8") as file:
        seeded = {row["currency"]: int(row["minor_units"]) for row in csv.DictReader(file)}
    known = {currency.code for currency in iso4217.Currency if currency.exponent is not None}
    assert seeded == {code: minor_units(code) for code in known}


def test_exposures_name_the_api_and_the_analysts() -> None:
    exposures = json.loads(manifest().read_text(encoding="utf-8"))["exposures"]
    assert {exposure["name"] for exposure in exposures.values()} == {"serving_api", "analysts"}


def test_the_parsed_project_serves_any_database() -> None:
    parsed = prepared("elsewhere")
    nodes = [*parsed.nodes.values(), *parsed.sources.values()]
    assert {node.database for node in nodes} == {"elsewhere"}
    named = {node.relation_name for node in nodes if getattr(node, "relation_name", None)}
    assert named
    assert all(name.startswith('"elsewhere".') for name in named)


def test_the_program_that_dagster_starts_says_the_version_of_dbt() -> None:
    done = subprocess.run(
        [DBT, "--version"],
        env={**os.environ, "VALUEVERSE_DBT_PYTHON": sys.executable},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert version("dbt-core") in done.stdout
