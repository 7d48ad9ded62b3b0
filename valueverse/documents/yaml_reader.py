"""YAML read from its events: a loader would turn 0.0030 into a float, NO into false, expand aliases and forget places.

What is understood is YAML 1.2's JSON schema: ``null``, ``true``, ``false``, JSON numbers; every other plain scalar is
text. Anchors, aliases and tags are refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from valueverse.documents.formats import JSON_NUMBER, Format
from valueverse.documents.source import Mark
from valueverse.documents.tree_builder import START, TreeBuilder

if TYPE_CHECKING:
    from valueverse.documents.problems import Problems

_CONSTANTS = {"": None, "~": None, "null": None, "Null": None, "NULL": None, "true": True, "false": False}


def read_yaml(text: str, form: Format, problems: Problems) -> TreeBuilder:
    """The tree and the places of a YAML text.

    Raises:
        DocumentError: what stops the reading.
    """
    builder = TreeBuilder(form, problems)
    documents = 0
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    message = f"one {form.name} per file: a second document starts here"
                    raise builder.stop(message, _mark(event))
            elif isinstance(event, yaml.NodeEvent):
                _add_node(builder, event)
            elif isinstance(event, yaml.CollectionEndEvent):
                builder.close()
    except yaml.MarkedYAMLError as error:
        at = error.problem_mark or error.context_mark
        reason = " ".join(filter(None, [error.context, error.problem]))
        mark = Mark(at.line + 1, at.column + 1) if at else START
        if _is_tab(text, mark):
            reason = "a tab cannot indent: write blanks in its place"
        raise builder.stop(f"not readable as YAML: {reason}", mark) from error
    except (yaml.YAMLError, ValueError) as error:
        raise builder.stop(f"not readable as YAML: {' '.join(str(error).split())[:200]}", START) from error
    return builder


def _is_tab(text: str, mark: Mark) -> bool:
    line = text.split("\n")[mark.line - 1 : mark.line]
    return "".join(line)[mark.column - 1 : mark.column] == "\t"


def _mark(event: Any) -> Mark:
    start, end = event.start_mark, event.end_mark
    if not isinstance(event, yaml.ScalarEvent):
        return Mark(start.line + 1, start.column + 1)
    quotes = 1 if event.style in {"'", '"'} else 0
    plain = start.line == end.line and end.column - start.column == len(event.value) + 2 * quotes
    return Mark(start.line + 1, start.column + 1 + (quotes if plain else 0), plain)


def _add_node(builder: TreeBuilder, event: yaml.NodeEvent) -> None:
    mark = _mark(event)
    if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
        raise builder.stop("anchors and aliases (& and *) are not taken; write the value out or quote it", mark)
    tag = getattr(event, "tag", None)
    if tag not in {None, "!"}:
        raise builder.stop(f"the tag {str(tag)[:40]} is not taken; remove it", mark)
    if not isinstance(event, yaml.ScalarEvent):
        builder.open({} if isinstance(event, yaml.MappingStartEvent) else [], mark)
    elif builder.wants_key:
        builder.key(event.value, mark)
    elif event.implicit[0] and event.value in _CONSTANTS:
        builder.add(_CONSTANTS[event.value], mark)
    elif event.implicit[0] and JSON_NUMBER.match(event.value):
        builder.number(event.value, mark)
    else:
        builder.add(event.value, mark)
