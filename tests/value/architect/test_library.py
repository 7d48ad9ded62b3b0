"""Ready models: each checks, names its sources, and fits the published schema."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from tests.support.value_models import EXAMPLE, problems_of
from valueverse.documents.reading import read_document
from valueverse.errors import RefusalError
from valueverse.value import library
from valueverse.value.architect.compiler.program import compile_model
from valueverse.value.architect.document.parsing import MODEL, parse_model
from valueverse.value.architect.document.schema import json_schema, json_schema_text

ROOT = Path(__file__).parents[3]


def test_the_library_covers_what_people_start_from():
    assert set(library.names()) >= {
        "churn_reduction", "compliance_cost", "developer_time", "infrastructure_saving", "sales_uplift",
        "support_deflection",
    }  # fmt: skip


@pytest.mark.parametrize("name", library.names())
def test_a_ready_model_compiles_and_names_the_source_of_every_default(name: str):
    text = library.text(name)
    assert problems_of(text) == []
    model = parse_model(text)
    assert model.model == name
    assert model.title
    assert all(one.evidence for one in model.inputs.values())
    assert any(one.url for one in model.evidence.values())
    program = compile_model(model)
    assert program.drivers
    assert program.costs
    assert {"conservative", "base", "stretch"} <= {one.name for one in program.scenarios}


@pytest.mark.parametrize("name", library.names())
def test_a_ready_model_needs_no_data(name: str):
    for one in compile_model(parse_model(library.text(name))).inputs:
        if not isinstance(one.source, float):
            assert not hasattr(one.source, "metric") or one.missing.policy == "default"


def test_an_unknown_model_names_the_one_that_was_meant():
    with pytest.raises(RefusalError, match="did you mean 'churn_reduction'"):
        library.text("churn_redction")
    with pytest.raises(RefusalError):
        library.text("../finance/__init__")


def test_the_published_schema_is_current():
    assert (ROOT / "docs/schemas/value_model.schema.json").read_text(encoding="utf-8") == json_schema_text()


def test_the_schema_takes_models_and_refuses_what_is_none():
    validator = jsonschema.Draft202012Validator(json_schema())
    jsonschema.Draft202012Validator.check_schema(json_schema())
    for text in [EXAMPLE, *map(library.text, library.names())]:
        tree = read_document(text, MODEL).tree
        assert list(validator.iter_errors(tree)) == []
        assert list(validator.iter_errors(tree | {"axs": {}}))
        assert json.loads(json.dumps(tree)) == tree


def test_the_examples_of_the_reference_are_models():
    pieces = (ROOT / "docs/value-models.md").read_text(encoding="utf-8").split("```yaml\n")[1:]
    models = [piece.partition("```")[0] for piece in pieces if piece.startswith("schema:")]
    assert len(models) >= 2
    for text in models:
        assert problems_of(text) == []
