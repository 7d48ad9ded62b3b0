"""Formula text -> tree: a small precedence-climbing parser without names, attributes or anything that runs.

Loosest to tightest: ``or``, ``and``, ``not``, one comparison, ``+ -``, ``* /``, unary ``-``, ``^`` (to the
right).
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from valueverse.formula.nodes import (
    MAX_CHARACTERS,
    MAX_DEPTH,
    MAX_NODES,
    MAX_PARTS,
    Binary,
    Call,
    Constant,
    Name,
    Node,
    Number,
    Quantity,
    Text,
    Unary,
    refusal,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
  | (?P<name>(?:[^\W\d]\w*|`[^`'\"\\\n]+`)(?:\.(?:[^\W\d]\w*|`[^`'\"\\\n]+`))*)
  | (?P<text>'[^'\n]*'|"[^"\n]*")
  | (?P<operator><=|>=|==|!=|[-+*/^<>=(),])
  )""",
    re.VERBOSE,
)
_BINDING = {
    "or": 1,
    "and": 2,
    "==": 4, "!=": 4, "<": 4, "<=": 4, ">": 4, ">=": 4,
    "+": 5, "-": 5,
    "*": 6, "/": 6,
    "^": 8,
}  # fmt: skip
_NOT, _NEGATE, _COMPARE, _POWER = 3, 7, 4, 8
_CONSTANTS = {"true": True, "false": False, "null": None}
_KEYWORDS = frozenset({"and", "or", "not"})
_LONGEST_UNIT = 64
"""Tokens looked ahead for a unit's brackets."""


class _Token(NamedTuple):
    kind: str
    text: str
    position: int


def parse(text: str, unit: Callable[[str], bool] | None = None, *, depth: int = MAX_DEPTH) -> Node:
    """Read a formula.

    Args:
        text: the formula.
        unit: whether a name is a unit; then a number may carry one: ``60000 USD/year``. None: numbers are bare.
        depth: levels taken; a caller may allow more than a formula per event can afford.

    Raises:
        RefusalError: ``bad_formula``, with the character at which it stops making sense.
    """
    if len(text) > MAX_CHARACTERS:
        raise refusal(f"a formula of {len(text)} characters is too long (at most {MAX_CHARACTERS})", text, 0)
    parser = _Parser(text, unit, depth)
    root = parser.expression(0)
    parser.expect_end()
    return root


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    position, end = 0, len(text.rstrip())
    for match in _TOKEN.finditer(text, 0, end):
        if match.start() != position or match.lastgroup is None:
            break
        kind, word, position = match.lastgroup, match[match.lastgroup], match.end()
        if kind == "name" and word in _KEYWORDS:
            kind = "operator"
        found.append(_Token(kind, word, position - len(word)))
    if position < end:
        start = position + len(text[position:]) - len(text[position:].lstrip())
        raise refusal(f"{text[start]!r} is not understood here", text, start)
    found.append(_Token("end", "the end", len(text)))
    return found


class _Parser:
    def __init__(self, text: str, unit: Callable[[str], bool] | None, deepest: int) -> None:
        self.text = text
        self.unit = unit
        self.deepest = deepest
        self.tokens = _tokens(text)
        self.index = 0
        # Of few tokens no deep tree can be made, and most formulas are short.
        self.small = len(self.tokens) <= min(deepest, MAX_NODES)
        self.nodes = 0
        self.depth: dict[int, int] = {}
        self.open = 0

    @property
    def token(self) -> _Token:
        return self.tokens[self.index]

    def take(self) -> _Token:
        token = self.tokens[self.index]
        self.index += 1
        return token

    def wrong(self, wanted: str, token: _Token | None = None) -> Exception:
        token = token or self.token
        shown = token.text if token.kind == "end" else repr(token.text[:40])
        before = self.tokens[self.tokens.index(token) - 1]
        odd = self.unit is not None and token.kind == "name" and before.kind == "number"
        hint = f"; {shown} is no unit that is known here" if odd else ""
        return refusal(f"{wanted} is expected, not {shown}{hint}", self.text, token.position)

    def expect(self, symbol: str) -> None:
        if self.token.text != symbol or self.token.kind != "operator":
            raise self.wrong(repr(symbol))
        self.index += 1

    def expect_end(self) -> None:
        if self.token.kind == "end":
            return
        if self.token.text == "=":
            raise refusal("'=' compares nothing: write '=='", self.text, self.token.position)
        raise self.wrong("an operator or the end")

    def made(self, node: Node) -> Node:
        if self.small:
            return node
        self.nodes += 1
        children = node.children
        depth = 1 + max([self.depth[id(child)] for child in children]) if children else 1
        if self.nodes > MAX_NODES:
            raise refusal(f"the formula has more than {MAX_NODES} parts", self.text, node.position)
        if depth > self.deepest:
            raise refusal(f"the formula is more than {self.deepest} levels deep", self.text, node.position)
        self.depth[id(node)] = depth
        return node

    def expression(self, binding: int) -> Node:
        self.open += 1
        if self.open > self.deepest:
            raise refusal(f"the formula is more than {self.deepest} levels deep", self.text, self.token.position)
        left = self.prefix()
        while (operator := self.tokens[self.index]).kind == "operator":
            strength = _BINDING.get(operator.text, 0)
            if strength <= binding:
                break
            self.index += 1
            # A power is grouped to the right (2^3^2 = 2^9), and its exponent may carry a sign.
            right = self.expression(_NEGATE - 1 if strength == _POWER else strength)
            if strength == _COMPARE and self.token.kind == "operator" and _BINDING.get(self.token.text) == _COMPARE:
                raise refusal("comparisons do not chain: write 'a < b and b < c'", self.text, self.token.position)
            left = self.made(Binary(operator.position, operator.text, left, right))
        self.open -= 1
        return left

    def prefix(self) -> Node:
        token = self.take()
        if token.kind == "number":
            return self.measured(token) if self.unit else self.made(Number(token.position, self.number(token)))
        if token.kind == "text":
            return self.made(Text(token.position, token.text[1:-1]))
        if token.kind == "name":
            return self.name(token)
        if token.kind == "operator" and token.text in {"-", "+"}:
            operand = self.expression(_NEGATE)
            return operand if token.text == "+" else self.made(Unary(token.position, "-", operand))
        if token.kind == "operator" and token.text == "not":
            return self.made(Unary(token.position, "not", self.expression(_NOT - 1)))
        if token.kind == "operator" and token.text == "(":
            inside = self.expression(0)
            self.expect(")")
            return inside
        raise self.wrong("a number, a text, a name or '('", token)

    def number(self, token: _Token) -> Decimal:
        mantissa, _, exponent = token.text.lower().partition("e")
        if len(mantissa) > 40 or len(exponent) > 4:
            raise refusal(f"the number {token.text[:40]} is out of range", self.text, token.position)
        return Decimal(token.text)

    def measured(self, token: _Token) -> Node:
        """A number with the unit behind it, if there is one; ``5 USD / tickets`` divides by the variable."""
        value, start = self.number(token), self.index
        self.index = self.unit_end(start) if self.token.kind == "name" else start
        if self.index == start:
            return self.made(Number(token.position, value))
        written = "".join(part.text for part in self.tokens[start : self.index])
        return self.made(Quantity(token.position, value, written))

    def unit_end(self, start: int) -> int:
        """The first token behind the unit that begins at ``start``; ``start`` where none does."""
        index = following = self.factor_end(start)
        while following > start and self.tokens[index].text in {"*", "/"}:
            following = self.factor_end(index + 1)
            if following == index + 1:
                break
            index = following
        return index

    def factor_end(self, start: int) -> int:
        token, index = self.tokens[start], start
        if token.kind == "name" and self.unit is not None and self.unit(token.text):
            index = start + 1
        elif token.kind == "operator" and token.text == "(" and start - self.index < _LONGEST_UNIT:
            inside = self.unit_end(start + 1)
            index = inside + 1 if inside > start + 1 and self.tokens[inside].text == ")" else start
        if index > start and self.tokens[index].text == "^" and self.tokens[index + 1].kind == "number":
            index += 2
        return index

    def name(self, token: _Token) -> Node:
        if token.text in _CONSTANTS:
            return self.made(Constant(token.position, _CONSTANTS[token.text]))
        following = self.tokens[self.index]
        if following.text == "(" and following.kind == "operator":
            return self.call(token)
        parts = split_path(token.text)
        if len(parts) > MAX_PARTS:
            raise refusal(f"a path of more than {MAX_PARTS} parts is too deep", self.text, token.position)
        return self.made(Name(token.position, parts))

    def call(self, token: _Token) -> Node:
        self.expect("(")
        arguments: list[Node] = []
        named: dict[str, Node] = {}
        while not (self.token.kind == "operator" and self.token.text == ")"):
            if arguments or named:
                self.expect(",")
            following = self.tokens[min(self.index + 1, len(self.tokens) - 1)]
            if self.token.kind == "name" and following.kind == "operator" and following.text == "=":
                name = self.take()
                self.expect("=")
                if name.text in named:
                    raise refusal(f"{name.text!r} is given twice", self.text, name.position)
                named[name.text] = self.expression(0)
            elif named:
                raise self.wrong("an argument by name")
            else:
                arguments.append(self.expression(0))
        self.expect(")")
        return self.made(Call(token.position, token.text, tuple(arguments), named))


def split_path(text: str) -> tuple[str, ...]:
    """The parts of a dotted name; backticks hold what is no identifier: ```usage.`out-tokens` ```."""
    return tuple(quoted or plain for quoted, plain in re.findall(r"`([^`]+)`|([^.`]+)", text))
