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
from typing import TYPE_CHECKING, Any

import iso4217
import pytest

from serving_api.app import app
from valueverse.money import minor_units
from valueverse.platform.warehouse import connect
from valueverse.services.marts.dbt_project import DBT, PROJECT, manifest
from valueverse.services.marts.prepared_dbt import prepared

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def nodes() -> dict[str, Any]:
    return dict(json.loads(manifest().read_text(encoding="utf-8"))["nodes"])


@pytest.fixture(scope="module")
def models(nodes: dict[str, Any]) -> list[dict[str, Any]]:
    return [node for node in nodes.values() if node["resource_type"] == "model"]


def test_each_layer_reads_only_those_before(models: list[dict[str, Any]]) -> None:
    allowed = {
        "staging": {"source"},
        "intermediate": {"staging", "intermediate", "seed"},
        "marts": {"staging", "intermediate", "seed"},
    }
    layers = {model["unique_id"]: model["fqn"][1] for model in models}
    for model in models:
        for parent in model["depends_on"]["nodes"]:
            kind = parent.partition(".")[0]
            assert (layers[parent] if kind == "model" else kind) in allowed[model["fqn"][1]], model["name"]


def test_an_intermediate_model_is_read_by_two_marts(models: list[dict[str, Any]]) -> None:
    marts = [model for model in models if model["fqn"][1] == "marts"]
    for model in models:
        if model["fqn"][1] == "intermediate":
            readers = [mart["name"] for mart in marts if model["unique_id"] in mart["depends_on"]["nodes"]]
            assert len(readers) >= 2, (model["name"], readers)


def test_each_model_has_its_own_description_file_a_contract_and_a_grain(
    nodes: dict[str, Any], models: list[dict[str, Any]]
) -> None:
    """The grain of a mart is its primary key; that of a view is tested."""
    grains = {
        parent
        for node in nodes.values()
        if node["resource_type"] == "test" and node["name"].startswith("grain_")
        for parent in node["depends_on"]["nodes"]
    }
    grains |= {
        model["unique_id"]
        for model in models
        if {"type": "primary_key", "columns": model["config"].get("unique_key")}.items()
        <= next((one for one in model["constraints"] if one["type"] == "primary_key"), {}).items()
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
        # A table of parts of an invoice has the currency on the invoice; the marts that read it have both.
        is_part = model["fqn"][1] == "staging" and {"invoice_id", "position_no"} <= types.keys()
        if any(name.endswith("_minor") for name in types) and not is_part:
            assert "currency" in types, model["name"]


def test_the_seed_of_currencies_says_what_the_engine_rounds_by() -> None:
    with (PROJECT / "seeds" / "currencies.csv").open(encoding="utf-8") as file:
        seeded = {row["currency"]: int(row["minor_units"]) for row in csv.DictReader(file)}
    known = {currency.code for currency in iso4217.Currency if currency.exponent is not None}
    assert seeded == {code: minor_units(code) for code in known}


def test_a_description_that_several_columns_share_is_written_once() -> None:
    written: dict[str, list[str]] = {}
    for path in sorted((PROJECT / "models").rglob("*.yml")):
        for found in re.findall(r"^ {8}description: (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE):
            if "{{ doc(" not in found:
                written.setdefault(found.strip('"'), []).append(path.name)
    assert {text: places for text, places in written.items() if len(places) > 1} == {}


@pytest.fixture(scope="module")
def database(servers: Settings) -> Iterator[psycopg.Connection[Any]]:
    with connect(servers, "admin") as connection:
        yield connection


def test_every_closed_list_of_the_tables_that_are_read_is_tested(
    nodes: dict[str, Any], database: psycopg.Connection[Any]
) -> None:
    """A list that a check of a table holds is the list of an ``accepted_values`` of the model that reads the table."""
    sources = json.loads(manifest().read_text(encoding="utf-8"))["sources"]
    tables = {name: f"{one['schema']}.{one['name']}" for name, one in sources.items()}
    readers: dict[str, set[str]] = {}
    for name, node in nodes.items():
        for parent in node["depends_on"].get("nodes", []):
            if parent in tables:
                readers.setdefault(tables[parent], set()).add(name)
    accepted: dict[str, list[set[str]]] = {}
    for node in nodes.values():
        if node["resource_type"] == "test" and (node.get("test_metadata") or {}).get("name") == "accepted_values":
            accepted.setdefault(node["attached_node"], []).append(set(node["test_metadata"]["kwargs"]["values"]))
    checks = database.execute(
        "select conrelid::regclass::text, pg_get_constraintdef(oid) from pg_constraint where contype = 'c' and "
        "pg_get_constraintdef(oid) ~ '^CHECK \\(\\(\\w+ = ANY \\(ARRAY' order by 1, 2"
    ).fetchall()
    known = {
        name: [{*re.findall(r"'([a-z_]+)'", check)} for table, check in checks if table == name] for name in readers
    }
    assert sum(map(len, known.values())) > 10
    for table, lists in known.items():
        for values in lists:
            assert any(values in accepted.get(reader, []) for reader in readers[table]), (table, values)


def test_the_exposure_of_the_api_is_what_its_routes_read(database: psycopg.Connection[Any]) -> None:
    """Routes call functions of schema ``api``; those read tables of migrations, and no mart."""
    found = json.loads(manifest().read_text(encoding="utf-8"))
    exposures = {exposure["name"]: exposure for exposure in found["exposures"].values()}
    assert exposures.keys() == {"serving_api", "analysts"}
    sources = {f"{one['schema']}.{one['name']}": name for name, one in found["sources"].items()}
    code = database.execute(
        "select prosrc from pg_proc where prolang <> 0 and (pronamespace = 'api'::regnamespace"
        " or pronamespace = 'billing'::regnamespace and has_function_privilege('valueverse_reader', oid, 'execute'))"
    ).fetchall()
    read = {table for (text,) in code for table in re.findall(r"\b(?:from|join)\s+(\w+\.\w+)", text)}
    assert not [table for table in read if table.startswith(("marts.", "intermediate.", "staging."))]
    assert set(exposures["serving_api"]["depends_on"]["nodes"]) == {sources[one] for one in read & sources.keys()}
    routes = {
        path
        for path, operations in app.openapi()["paths"].items()
        if path.startswith("/v1/") and "get" in operations and not path.endswith("jwks.json")
    }
    assert set(exposures["serving_api"]["config"]["meta"]["routes"]) == routes
    marts = {name for name, node in found["nodes"].items() if name.startswith("model.") and node["fqn"][1] == "marts"}
    assert set(exposures["analysts"]["depends_on"]["nodes"]) == marts


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
