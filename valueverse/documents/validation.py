"""Trees judged by pydantic models: every problem as a sentence, with the path a reader knows and a suggestion."""

from __future__ import annotations

import re
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import PydanticCustomError

from valueverse.documents.problems import MOST_SHOWN, DocumentError, Problems
from valueverse.documents.source import Source, Tree
from valueverse.errors import RefusalError, did_you_mean, joined

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic_core import ErrorDetails

Model = TypeVar("Model", bound=BaseModel)
_NO_CODES: Mapping[str, str] = {}


class StrictModel(BaseModel):
    """Immutable, and a field that it does not have is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def wrong(message: str, field: str = "", *, code: str = "", suggestion: str | None = None) -> PydanticCustomError:
    """An error whose sentence reaches the user as it stands.

    Args:
        message: the sentence.
        field: the part that is meant, where a whole object is judged: ``amount``, ``[3].key``.
        code: of the problem; none: that of the document.
        suggestion: what could stand there instead.
    """
    context = {"message": message, "field": field, "code": code, "suggestion": suggestion}
    return PydanticCustomError("refused", "{message}", context)


def error_of(refusal: RefusalError, field: str = "") -> PydanticCustomError:
    """A refusal of a value (or of its ``field``) as the error of a validator, with its code and suggestion."""
    return wrong(refusal.message, field, code=refusal.code, suggestion=refusal.suggestion)


def validated(
    model: type[Model], source: Source, codes: Mapping[str, str], default: str, *, context: Any = None
) -> Model | None:
    """The document as ``model``; None, with what is wrong among the problems of ``source``.

    Args:
        model: what the tree has to be.
        source: the document.
        codes: of pydantic's kinds of errors, such as ``missing``.
        default: code of all other kinds.
        context: what validators look at beside the value.
    """
    try:
        return model.model_validate(source.tree, context=context)
    except ValidationError as error:
        _add_problems(error, model, source, codes, default, "")
        return None


def _add_problems(
    error: ValidationError,
    model: type[BaseModel],
    source: Source,
    codes: Mapping[str, str],
    default: str,
    what: str,
) -> None:
    unread = [one.path for one in source.problems.found if one.path]
    for one in _unknown_first(error.errors(include_url=False))[:MOST_SHOWN]:
        kind, context = one["type"], one.get("ctx", {})
        path = _path(one, model, source.tree)
        # What could not be read is missing to whoever judges it, and that has been reported where it stands.
        if not any(other == path or other.startswith((f"{path}.", f"{path}[")) for other in unread):
            message, suggestion = _sentence(one, model, what)
            code = str(context.get("code") or codes.get(kind, default))
            source.problems.add(code, message, path, suggestion=suggestion)


def _path(error: ErrorDetails, model: type[BaseModel], tree: Tree) -> str:
    kind, location = error["type"], error["loc"]
    # Also a default may be refused: of a field that is not in the tree.
    absent = kind == "refused" and location and location[-1] in _fields(_annotation_at(model, location[:-1]))
    shown = _shown_location(location, tree, keep_last=bool(absent) or kind in {"missing", "extra_forbidden"})
    field = "model" if kind == "union_tag_invalid" else str(error.get("ctx", {}).get("field", ""))
    return joined(path_of(shown), field)


def _unknown_first(errors: list[ErrorDetails]) -> list[ErrorDetails]:
    """Unknown fields of an object before all else that is wrong in it: often they are the cause, a field misspelt."""

    first: dict[tuple[int | str, ...], int] = {}
    for index, error in enumerate(errors):
        for end in range(len(error["loc"])):
            first.setdefault(error["loc"][:end], index)

    def place(index: int) -> tuple[int, int]:
        error = errors[index]
        return (first[error["loc"][:-1]], 0) if error["type"] == "extra_forbidden" else (index, 1)

    return [errors[index] for index in sorted(range(len(errors)), key=place)]


def judge_object(
    model: type[Model],
    tree: Tree,
    default: str,
    codes: Mapping[str, str] = _NO_CODES,
    *,
    what: str = "",
    context: Any = None,
) -> Model:
    """An object that came without text as ``model``; the arguments are those of ``validated``.

    Raises:
        DocumentError: everything that is wrong.
    """
    try:
        return model.model_validate(tree, context=context)
    except ValidationError as error:
        source = Source(tree, Problems())
        _add_problems(error, model, source, codes, default, what)
        raise DocumentError(source.problems.found) from error


_SENTENCES = {
    "model_type": "an object of fields is expected here",
    "model_attributes_type": "an object of fields is expected here",
    "dict_type": "an object of fields is expected here",
    "list_type": "a list is expected here",
    "tuple_type": "a list is expected here",
    "string_type": "text is expected here",
    "bool_type": "true or false is expected here",
    "int_type": "a whole number is expected here",
    "int_parsing": "a whole number is expected here",
    "int_from_float": "a whole number is expected here",
    "union_tag_not_found": "an object with 'model' is expected here",
}
_BOUNDS = (("ge", "at least"), ("le", "at most"), ("gt", "more than"), ("lt", "less than"))


def _sentence(error: ErrorDetails, model: type[BaseModel], what: str) -> tuple[str, str | None]:
    """What is wrong, and what could stand there instead; ``what`` is what the object is called, where it has a name."""
    kind, context, value = error["type"], error.get("ctx", {}), error["input"]
    if kind == "refused":
        return error["msg"], context.get("suggestion")
    if kind == "missing":
        whole = f"in {what}" if what and len(error["loc"]) == 1 else "here"
        meaning = _description(model, error["loc"])
        return f"{str(error['loc'][-1])!r} is required {whole}{meaning and f': {meaning}'}", None
    if kind == "extra_forbidden":
        name = str(error["loc"][-1])
        hint = did_you_mean(name, _fields(_annotation_at(model, error["loc"])))
        return f"unknown field {name[:60]!r}{hint.ending}", hint.name
    if kind == "union_tag_invalid":
        name = str(context["tag"])
        hint = did_you_mean(name, re.findall(r"'([^']*)'", context["expected_tags"]))
        return f"unknown model {name[:60]!r}{hint.ending}", hint.name
    if kind in {"too_long", "too_short"}:
        bound = f"at most {context['max_length']}" if kind == "too_long" else f"at least {context['min_length']}"
        return f"{context['actual_length']} entries: {bound} are expected here", None
    message = _SENTENCES.get(kind) or _bound(error)
    suggestion = None
    if kind == "literal_error" and isinstance(value, str):
        allowed = get_args(_annotation_at(model, error["loc"]))
        suggestion = did_you_mean(value, [one for one in allowed if isinstance(one, str)]).name
    return f"{message}, not {str(value)[:60]!r}", suggestion


def _bound(error: ErrorDetails) -> str:
    for name, bound in _BOUNDS:
        if name in error.get("ctx", {}):
            return f"{bound} {error['ctx'][name]} is expected here"
    return f"{error['msg'].removeprefix('Input should be ')} is expected here"


def _shown_location(location: Sequence[int | str], tree: Tree, *, keep_last: bool) -> list[int | str]:
    """The location without what pydantic adds to it (tags, ``[key]``) and without short forms written out."""
    places: list[int | str] = []
    for index, part in enumerate(location):
        inside = (isinstance(tree, dict) and part in tree) or (
            isinstance(tree, list) and isinstance(part, int) and part < len(tree)
        )
        if inside:
            tree = tree[part]
            places.append(part)
        elif keep_last and index == len(location) - 1 and isinstance(tree, dict):
            places.append(part)
    return places


def path_of(location: Sequence[int | str]) -> str:
    """A location as a reader writes it: ``plans[0].charges[1].price.unit``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).removeprefix(".")


def _annotation_at(model: type[BaseModel], location: Sequence[int | str]) -> Any:
    """The annotation that an error is about; for a field that is not there, the model that lacks it."""
    found: Any = model
    for part in location:
        members = _members(found)
        models = [one for one in members if isinstance(one, type) and issubclass(one, BaseModel)]
        tagged = [one for one in models if part in _tags(one)] if len(models) > 1 else []
        if tagged:
            found = tagged[0]
        elif models:
            fields = {field.alias or name: field.annotation for name, field in models[0].model_fields.items()}
            if part not in fields:
                return models[0]
            found = fields[str(part)]
        else:
            arguments = get_args(members[0]) or (None,)
            found = arguments[-1] if get_origin(members[0]) is dict else arguments[0]
    return _members(found)[0]


def _members(annotation: Any) -> list[Any]:
    """The types of a union, or the one type, without ``Annotated`` and ``None``."""
    if get_origin(annotation) is Annotated:
        return _members(get_args(annotation)[0])
    if get_origin(annotation) in {Union, UnionType}:
        return [one for member in get_args(annotation) if member is not NoneType for one in _members(member)]
    return [annotation]


def _tags(model: type[BaseModel]) -> tuple[Any, ...]:
    return get_args(model.model_fields["model"].annotation) if "model" in model.model_fields else ()


def _fields(model: Any) -> list[str]:
    return [field.alias or name for name, field in getattr(model, "model_fields", {}).items()]


def _description(model: type[BaseModel], location: Sequence[int | str]) -> str:
    """What a missing field would be, as its model says."""
    parent = _annotation_at(model, location[:-1])
    fields = getattr(parent, "model_fields", {})
    named = {field.alias or name: field.description for name, field in fields.items()}
    return named.get(location[-1]) or ""
