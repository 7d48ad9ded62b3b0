"""The published JSON Schemas refuse what the readers refuse, and take what they take."""

from __future__ import annotations

import copy
import json
import re
from contextlib import suppress
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import jsonschema
import polars as pl
import pytest
import yaml
from babel import Locale

from tests.quality.matrix_options import PRICES
from tests.quality.matrix_options import catalog as matrix_catalog
from tests.support.companies import AGGREGATIONS
from tests.support.document_changes import ABSENT, CATALOG, GOOD, INVOICING, RIGHT, STARTED, WALLET, WRONG
from tests.support.value_models import EXAMPLE
from valueverse.catalog import parse_catalog
from valueverse.demo import harbor_catalog, northwind
from valueverse.documents import COUNTRIES
from valueverse.errors import RefusalError
from valueverse.events import IS_BILLING, judge_billing_event, load_exact_json, read_lines, validate_events
from valueverse.value import library
from valueverse.value.architect.compiler import compile_model
from valueverse.value.architect.document import parse_model

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "valueverse" / "services" / "project" / "sample"


NAMES = ("catalog", "event", "value_model")


@cache
def _schema(name: str) -> jsonschema.Draft202012Validator:
    schema = json.loads((ROOT / "docs" / "schemas" / f"{name}.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def _read_catalog(document: Any) -> None:
    parse_catalog(json.dumps(document))


def _read_model(document: Any) -> None:
    compile_model(parse_model(json.dumps(document)))


def _read_event(document: Any) -> None:
    """As ingestion judges a line: its envelope, then the data of a billing event."""
    lines = pl.DataFrame({"line": [1], "raw": [json.dumps(document)]}, schema={"line": pl.UInt32, "raw": pl.String})
    received_at = pl.lit("2200-01-01T00:00:00Z").str.to_datetime(time_zone="UTC")
    row = validate_events(read_lines(lines), "acme", received_at)
    reason, message, data = row.select("reason", "message", "data").row(0)
    if reason is not None:
        raise RefusalError(reason, message)
    if row.select(IS_BILLING).item() and data is not None:
        judge_billing_event(document["type"], "acme", load_exact_json(data), parse_catalog)


READERS = {"catalog": _read_catalog, "event": _read_event, "value_model": _read_model}


def changed(document: Any, path: str, value: Any) -> Any:
    found = copy.deepcopy(document)
    *parents, last = path.split(".")
    inner = found
    for name in parents:
        inner = inner[int(name) if isinstance(inner, list) else name]
    if value is ABSENT:
        del inner[last]
    else:
        inner[int(last) if isinstance(inner, list) else last] = value
    return found


def taken(kind: str, document: Any) -> list[str]:
    """Who of reader and schema takes a document."""
    try:
        READERS[kind](document)
    except RefusalError:
        read = []
    else:
        read = ["reader"]
    return read + (["schema"] if _schema(kind).is_valid(document) else [])


@pytest.mark.parametrize(("kind", "document"), GOOD, ids=[f"{kind}-{place}" for place, (kind, _) in enumerate(GOOD)])
def test_the_documents_that_are_changed_below_are_taken_by_both(kind: str, document: Any) -> None:
    assert [error.message for error in _schema(kind).iter_errors(document)] == []
    assert taken(kind, document) == ["reader", "schema"]


@pytest.mark.parametrize("kind", READERS)
def test_a_wrong_document_is_refused_by_its_reader_and_by_its_schema(kind: str) -> None:
    rows = [(document, path, value) for one, document, path, value in WRONG if one == kind]
    found = {f"{path} = {value!r:.60}": taken(kind, changed(document, path, value)) for document, path, value in rows}
    assert {change: by for change, by in found.items() if by} == {}
    assert len(rows) > 40


@pytest.mark.parametrize("kind", READERS)
def test_a_document_in_another_spelling_is_taken_by_its_reader_and_by_its_schema(kind: str) -> None:
    rows = [(document, path, value) for one, document, path, value in RIGHT if one == kind]
    found = {f"{path} = {value!r:.60}": taken(kind, changed(document, path, value)) for document, path, value in rows}
    assert {change: by for change, by in found.items() if by != ["reader", "schema"]} == {}
    assert len(rows) > 10


@pytest.mark.parametrize(
    ("document", "path", "value", "message"),
    [
        (STARTED, "plan_version", "1", "the text '1' is not a whole number from 1 to 1000000"),
        (WALLET, "priority", "1", "the text '1' is not a whole number from 1 to 1000000"),
        (WALLET, "priority", True, "true is not a whole number from 1 to 1000000"),
        (INVOICING, "invoicing.payment_terms_days", "14", "the text '14' is not a whole number of days from 0 to 3660"),
        (WALLET, "priority", 1.5, "1.5 is not a whole number from 1 to 1000000"),
    ],
)
def test_where_a_whole_number_is_expected_a_text_is_called_one(
    document: Any, path: str, value: Any, message: str
) -> None:
    with pytest.raises(RefusalError, match=f"^{re.escape(message)}"):
        _read_event(changed(document, f"data.{path}", value))


def test_every_price_and_aggregation_that_billing_is_tested_with_is_taken_by_the_schema() -> None:
    taken_by_reader = []
    prices = [{"model": model} | one for model, several in PRICES.items() for one in several]
    for price, aggregation in product(prices, AGGREGATIONS):
        document = json.loads(json.dumps(matrix_catalog(price, aggregation)))
        with suppress(RefusalError):
            parse_catalog(json.dumps(document))
            taken_by_reader.append(document)
    wrong = [error.message[:200] for one in taken_by_reader for error in _schema("catalog").iter_errors(one)]
    assert (wrong, len(taken_by_reader) > 100) == ([], True)


def _samples() -> list[tuple[str, Any]]:
    catalogs = [yaml.safe_load((SAMPLE / name).read_text(encoding="utf-8")) for name in ("catalog.yaml", "dearer.yaml")]
    catalogs += [json.loads(json.dumps(one)) for one in (harbor_catalog.CATALOG, northwind.CATALOG)]
    models = [yaml.safe_load(text) for text in (EXAMPLE, *map(library.text, library.names()))]
    events = [json.loads(line) for path in SAMPLE.glob("*.ndjson") for line in path.read_text().splitlines()]
    return [
        *(("catalog", one) for one in catalogs),
        *(("value_model", one) for one in models),
        *(("event", one) for one in events),
    ]


def test_every_sample_that_is_shipped_is_taken_by_its_schema() -> None:
    found = _samples()
    assert {kind for kind, _ in found} == set(NAMES)
    wrong = [(kind, error.message[:200]) for kind, one in found for error in _schema(kind).iter_errors(one)]
    assert wrong == []


def test_every_price_of_the_reference_cases_is_taken_by_the_schema_of_prices() -> None:
    schema = _schema("catalog").schema
    charge = jsonschema.Draft202012Validator({**schema["$defs"]["Charge"], "$defs": schema["$defs"]})
    names = ("convert", "included", "price", "discount_percent", "minimum", "maximum")
    wrong, count = [], 0
    for line in (ROOT / "tests" / "reference_cases" / "price.ndjson").read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        given = case.get("input", case)
        if "price" in given and not re.search(r'"error"', line):
            count += 1
            document = {"key": "k", "meter": "m", **{name: given[name] for name in names if name in given}}
            wrong += [(given["price"], error.message[:200]) for error in charge.iter_errors(document)]
    assert wrong == []
    assert count > 50


def test_countries_are_those_of_iso_3166() -> None:
    """The names that CLDR has beside them are of groups, of parts of countries, and of tests."""
    more = {"AC", "CP", "CQ", "DG", "EA", "EU", "EZ", "IC", "QO", "TA", "UN", "XA", "XB", "ZZ"}
    assert {code for code in Locale("en").territories if re.fullmatch("[A-Z]{2}", code)} - more == COUNTRIES


@pytest.mark.parametrize(
    ("country", "cure"),
    [
        ("Germany", "did you mean 'DE' (Germany)?"),
        ("UK", "did you mean 'GB' (United Kingdom)?"),
        ("de", "did you mean 'DE' (Germany)?"),
        ("ZZ", "write two capitals like 'DE'"),
    ],
)
def test_a_country_that_is_none_is_refused_with_place_and_cure(country: str, cure: str) -> None:
    published = changed(CATALOG, "taxes.0.country", country)
    for kind, document, path in (
        ("customer.created", {"customer": "c1", "country": country}, "data.country"),
        ("tenant.updated", {"country": country}, "data.country"),
        ("catalog.published", published, "data.taxes[0].country"),
    ):
        with pytest.raises(RefusalError, match=re.escape(cure)) as found:
            judge_billing_event(f"billing.{kind}", "acme", document, parse_catalog)
        assert found.value.path == path
