"""Text -> model document, refused with every problem of its shape."""

from __future__ import annotations

from typing import Any

from valueverse.documents import Format, Problems, Source, float_number, read_document, validated
from valueverse.value.architect.document.model import SCHEMA, Model

MODEL = Format(
    name="model",
    keys="schema, model, inputs",
    code="bad_document",
    number=float_number,
    characters=1_048_576,
    depth=24,
    entries=200_000,
    total=200_000,
)
"""How a model is read."""
_CODES = {"missing": "missing_field", "extra_forbidden": "unknown_field"}


def parse_model(text: str | bytes) -> Model:
    """Read a model in YAML or JSON.

    Raises:
        DocumentError: with every problem of its shape; names, units and the like are judged by ``compile_model``.
    """
    source = read_document(text, MODEL)
    model = _validated(source)
    model._source = source  # the private half of a model, which only its reader fills
    return model


def model_from(tree: dict[str, Any]) -> Model:
    """A model from a tree that was a document once (``canonical``); its problems have no lines.

    Raises:
        DocumentError: as ``parse_model``.
    """
    return _validated(Source(tree, Problems()))


def _validated(source: Source) -> Model:
    problems = source.problems
    schema = source.tree.get("schema")
    if schema is not None and schema != SCHEMA:
        problems.add("unknown_schema", f"the schema is {SCHEMA!r}, not {str(schema)[:60]!r}", "schema")
        problems.refuse()
    model = validated(Model, source, _CODES, "bad_value")
    problems.refuse()
    if model is None:
        raise AssertionError("a model is refused with a problem")
    return model
