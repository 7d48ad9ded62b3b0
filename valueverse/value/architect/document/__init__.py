"""Model documents: what may stand where, read from YAML or JSON, with one canonical text and hash."""

from valueverse.value.architect.document.canonical import (
    canonical_tree,
    content_hash,
    model_changes,
)
from valueverse.value.architect.document.model import Model
from valueverse.value.architect.document.parsing import parse_model
from valueverse.value.architect.document.schema import json_schema_text

__all__ = [
    "Model",
    "canonical_tree",
    "content_hash",
    "json_schema_text",
    "model_changes",
    "parse_model",
]
