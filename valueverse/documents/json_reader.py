"""JSON as a tree: by the decoder of the standard library, or token by token where the places are asked for."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from valueverse.documents.formats import JSON_NUMBER
from valueverse.documents.source import Mark
from valueverse.documents.tree_builder import TreeBuilder

if TYPE_CHECKING:
    from valueverse.documents.formats import Format
    from valueverse.documents.problems import Problems
    from valueverse.documents.source import Tree

_TOKEN = re.compile(r'[ \t\r\n]*([\[\]{},:"]|[^\[\]{},:"\s]+)')
_STRINGS = json.JSONDecoder()
_CONSTANTS = {"null": None, "true": True, "false": False}


class OddJsonError(Exception):
    """JSON that has to be read token by token, to say what is wrong with it and where."""


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys differ.

    Raises:
        ValueError: it has one twice.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise ValueError(f"the key {twice[:60]!r} stands twice in one object")
    return found


def no_constant(text: str) -> Any:
    """Refuse NaN and Infinity, which the standard library would take.

    Raises:
        ValueError: always.
    """
    raise ValueError(f"{text} is not a JSON number")


def decode_json(text: str, form: Format) -> Tree:
    """The tree, fast and without places.

    Raises:
        json.JSONDecodeError: it is no JSON.
        OddJsonError: it is JSON with a key twice, a number that cannot be taken, or too deep: read it again in full.
    """
    try:
        return json.loads(
            text,
            parse_float=form.number,
            parse_int=form.number,
            parse_constant=no_constant,
            object_pairs_hook=unique_keys,
        )
    except json.JSONDecodeError:
        raise
    except RecursionError as error:
        raise OddJsonError from error
    except ValueError as error:
        json.loads(text, parse_int=str, parse_float=str)  # what stands behind it has to be JSON too
        raise OddJsonError from error


def read_json(text: str, form: Format, problems: Problems) -> TreeBuilder:
    """The tree and the places of a text that the standard library's decoder takes for JSON.

    Raises:
        DocumentError: what stops the reading.
    """
    builder = TreeBuilder(form, problems)
    line, line_start, at = 1, 0, 0
    while match := _TOKEN.match(text, at):
        start, word = match.start(1), match[1]
        passed = text.count("\n", at, start)
        if passed:
            line, line_start = line + passed, text.rfind("\n", at, start) + 1
        mark = Mark(line, start - line_start + 1)
        at = match.end()
        if word == '"':
            value, at = _STRINGS.raw_decode(text, start)
            plain = at - start - 2 == len(value)
            mark = Mark(line, mark.column + 1, characters=True) if plain else mark
            if builder.wants_key:
                builder.key(value, mark)
            else:
                builder.add(value, mark)
        elif word in "[{":
            builder.open([] if word == "[" else {}, mark)
        elif word in "]}":
            builder.close()
        elif word in _CONSTANTS:
            builder.add(_CONSTANTS[word], mark)
        elif word not in ",:":
            _add_number(builder, word, mark)
    return builder


def _add_number(builder: TreeBuilder, word: str, mark: Mark) -> None:
    if not JSON_NUMBER.match(word):
        raise builder.stop(f"{word[:40]} is not a JSON number", mark)
    builder.number(word, mark)
