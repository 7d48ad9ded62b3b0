"""Text -> model document, refused with every problem of its shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from valueverse.value.architect import document
from valueverse.value.architect.problems import Problems, meant
from valueverse.value.architect.reading import Source, read_source

if TYPE_CHECKING:
    from collections.abc import Sequence

_SENTENCES = {
    "missing": "this field is required",
    "model_type": "a mapping of fields is expected here",
    "model_attributes_type": "a mapping of fields is expected here",
    "dict_type": "a mapping is expected here",
    "list_type": "a list is expected here",
    "string_type": "text is expected here",
    "bool_type": "true or false is expected here",
    "int_type": "a whole number is expected here",
    "int_parsing": "a whole number is expected here",
    "int_from_float": "a whole number is expected here",
    "too_long": "fewer entries are expected here",
}
_CODES = {"missing": "missing_field", "extra_forbidden": "unknown_field"}
_PARTS: dict[tuple[str, ...], type[document.Part]] = {
    (): document.Model,
    ("axis",): document.Axis,
    ("axis", "discount"): document.Discount,
    ("units",): document.Units,
    ("inputs", "*"): document.Input,
    ("inputs", "*", "bind"): document.Binding,
    ("correlations", "*"): document.Correlation,
    ("variables", "*"): document.Variable,
    ("drivers", "*"): document.Driver,
    ("costs", "*"): document.Cost,
    ("scenarios", "*", "*"): document.Given,
    ("scenarios", "*", "*", "bind"): document.Binding,
    ("pricing",): document.Pricing,
    ("evidence", "*"): document.Evidence,
}


def parse_model(text: str | bytes) -> document.Model:
    """Read a model in YAML or JSON.

    Raises:
        ModelError: with every problem of its shape; names, units and the like are judged by ``compile_model``.
    """
    return _validated(read_source(text))


def model_from(tree: dict[str, Any]) -> document.Model:
    """A model from a tree that was a document once (``canonical``); its problems have no lines.

    Raises:
        ModelError: as ``parse_model``.
    """
    return _validated(Source("", tree), placed=False)


def _validated(source: Source, *, placed: bool = True) -> document.Model:
    problems = Problems(source if placed else None)
    schema = source.tree.get("schema")
    if schema is not None and schema != document.SCHEMA:
        problems.add("unknown_schema", f"the schema is {document.SCHEMA!r}, not {str(schema)[:60]!r}", "schema")
        problems.refuse()
    try:
        model = document.Model.model_validate(source.tree)
    except ValidationError as error:
        for one in error.errors(include_url=False):
            _report(one, problems, source.tree)
        problems.refuse()
        raise
    if placed:
        model._source = source  # the private half of a model, which only its reader fills
    return model


def _bound(error: Any) -> str:
    for name, words in (("ge", "at least"), ("le", "at most"), ("gt", "more than"), ("lt", "less than")):
        if name in error.get("ctx", {}):
            return f"{words} {error['ctx'][name]} is expected here"
    return f"{error['msg'].removeprefix('Input should be ')} is expected here"


def _report(error: Any, problems: Problems, tree: Any) -> None:
    location = _present(error["loc"], tree, keep_last=error["type"] in {"missing", "extra_forbidden"})
    context = error.get("ctx", {})
    kind = error["type"]
    if kind == "extra_forbidden":
        message = f"unknown field {str(location[-1])[:60]!r}{meant(str(location[-1]), _fields(location[:-1]))}"
    elif kind == "refused":
        message = error["msg"]
    else:
        message = _SENTENCES.get(kind) or _bound(error)
        if kind != "missing":
            message += f", not {str(error['input'])[:60]!r}"
    path = _path(location)
    field = context.get("field", "")
    if field:
        path = path + field if field.startswith("[") or not path else f"{path}.{field}"
    problems.add(context.get("code") or _CODES.get(kind, "bad_value"), message, path)


def _present(location: Sequence[int | str], tree: Any, *, keep_last: bool) -> list[int | str]:
    """The location without what pydantic adds to it (tags, ``[key]``) and without short forms written out."""
    kept: list[int | str] = []
    for index, part in enumerate(location):
        inside = (isinstance(tree, dict) and part in tree) or (
            isinstance(tree, list) and isinstance(part, int) and part < len(tree)
        )
        if inside:
            tree = tree[part]
            kept.append(part)
        elif keep_last and index == len(location) - 1 and isinstance(tree, dict):
            kept.append(part)
    return kept


def _fields(location: Sequence[int | str]) -> list[str]:
    """The fields that the mapping at a location may have."""
    for pattern, part in _PARTS.items():
        if len(pattern) == len(location) and all(
            wanted in {"*", step} for wanted, step in zip(pattern, location, strict=True)
        ):
            return [field.alias or name for name, field in part.model_fields.items()]
    return []


def _path(location: Sequence[int | str]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).removeprefix(".")
