"""Units: products of powers of base units, currencies and time.

``ticket/month``, ``USD/(agent*hour)``, ``user^2``, ``1``. Two units with the same dimension differ by a factor:
USD/year is USD/month / 12. A year is 12 months, 4 quarters, or 365 days; a week is 7 days; ``period`` is one period of
the model's axis. ``percent`` (or %) is a hundredth of 1.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache

import iso4217

from valueverse.errors import RefusalError, did_you_mean

MAX_CHARACTERS = 200
MAX_DEPTH = 16
MAX_EXPONENT = 64
_MOST_TIME, _MOST_DIGITS = 40, 150
"""Of measures of time and ratios in one unit, so that the factor between any two stays within floats."""
_DAY = Fraction(1, 365)
TIME: dict[str, Fraction] = {
    "year": Fraction(1),
    "quarter": Fraction(1, 4),
    "month": Fraction(1, 12),
    "week": 7 * _DAY,
    "day": _DAY,
    "hour": _DAY / 24,
    "minute": _DAY / 1440,
    "second": _DAY / 86400,
}
"""Length in years."""
_PLURALS = {f"{name}s": name for name in TIME}
_RATIOS = {"percent": Fraction(1, 100)}
_TOKEN = re.compile(r"\s*(?:(?P<name>[^\W\d]\w*|%)|(?P<number>-?[0-9]{1,4}(?:\.[0-9]{1,4})?)|(?P<operator>[*/^()·]))")
CURRENCIES = frozenset(currency.code for currency in iso4217.Currency if currency.exponent is not None)

Powers = tuple[tuple[str, Fraction], ...]


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit; its name is canonical, so equal units have equal names.

    Attributes:
        powers: exponent per symbol, ascending by symbol, none of them 0. The empty tuple is 1.
        dimension: the same with every measure of time as ``time`` and ratios left out: what has to agree.
        scale: how many of the dimension's own unit (years for time) one of this unit is.
        mixed: it holds a ratio, or more than one measure of time, so that ``settled`` is another unit.
    """

    powers: Powers
    dimension: Powers = field(compare=False)
    scale: float = field(compare=False)
    mixed: bool = field(compare=False, default=False)

    def __str__(self) -> str:
        return _written(self.powers)

    @property
    def is_number(self) -> bool:
        """Whether it is 1, or a ratio of two equal dimensions."""
        return not self.dimension

    def power_of(self, symbol: str) -> Fraction:
        """The exponent of ``symbol`` in the dimension; ``time`` for all measures of time."""
        return next((power for name, power in self.dimension if name == symbol), Fraction(0))

    def settled(self) -> Unit:
        """The same dimension with one measure of time at most and no ratio: what a bare number beside it is in.

        5 beside a USD*month/year is 5 USD, and beside a year/month it is plain.
        """
        if not self.mixed:
            return self
        total = self.power_of("time")
        times = [name for name, power in self.powers if _is_time(name) and power * total > 0][:1]
        others = [(name, power) for name, power in self.dimension if name != "time"]
        return _interned(tuple(sorted([*others, *((name, total) for name in times)])))

    def without_time(self) -> Unit:
        """The same without any measure of time: of a flow, what flows."""
        return _interned(tuple((name, power) for name, power in self.powers if not _is_time(name)))

    def times(self, other: Unit) -> Unit:
        """The unit of a product."""
        if not other.powers or not self.powers:
            return self if self.powers else other
        return _product(self, other, 1)

    def over(self, other: Unit) -> Unit:
        """The unit of a quotient."""
        return self if not other.powers else _product(self, other, -1)

    def to_power(self, exponent: Fraction) -> Unit:
        """The unit of a power.

        Raises:
            RefusalError: ``bad_unit``: an exponent beyond 64.
        """
        return _made({name: power * exponent for name, power in self.powers})

    def factor_to(self, other: Unit) -> float:
        """What a number in this unit is multiplied by to stand in ``other``, which has the same dimension."""
        if self.powers == other.powers:
            return 1.0
        return float(_exact_scale(self.powers) / _exact_scale(other.powers))


@lru_cache(maxsize=4096)
def _product(left: Unit, right: Unit, sign: int) -> Unit:
    powers = dict(left.powers)
    for name, power in right.powers:
        powers[name] = powers.get(name, Fraction(0)) + sign * power
    return _made(powers)


def _made(powers: dict[str, Fraction]) -> Unit:
    nonzero = {name: power for name, power in powers.items() if power}
    if any(abs(power) > MAX_EXPONENT or power.denominator > MAX_EXPONENT for power in nonzero.values()):
        raise _refusal(f"an exponent beyond {MAX_EXPONENT} is no unit; divide by a unit on the way")
    sizes = {name: TIME.get(name) or _RATIOS.get(name) for name in nonzero}
    measures = [(abs(nonzero[name]), abs(math.log10(size))) for name, size in sizes.items() if size is not None]
    if sum(power for power, _ in measures) > _MOST_TIME or sum(power * size for power, size in measures) > _MOST_DIGITS:
        raise _refusal("so high a power of time or percent is no unit; divide by a unit on the way")
    return _interned(tuple(sorted(nonzero.items())))


@lru_cache(maxsize=4096)
def _interned(powers: Powers) -> Unit:
    time = sum((power for name, power in powers if _is_time(name)), Fraction(0))
    dimension = [(name, power) for name, power in powers if not _is_time(name) and name not in _RATIOS]
    if time:
        dimension.append(("time", time))
    mixed = len(dimension) != len(powers)
    return Unit(powers, tuple(sorted(dimension)), float(_exact_scale(powers)), mixed)


def _is_time(name: str) -> bool:
    return name in TIME


@lru_cache(maxsize=4096)
def _exact_scale(powers: Powers) -> Fraction | float:
    """Exact where exponents are whole, so that 12 months are exactly a year."""
    scale: Fraction | float = Fraction(1)
    for name, power in powers:
        size = TIME.get(name) or _RATIOS.get(name)
        if size is not None:
            scale = scale * (size**power.numerator if power.denominator == 1 else float(size) ** float(power))
    return scale


ONE = _interned(())


def _written(powers: Powers) -> str:
    above = [_factor(name, power) for name, power in powers if power > 0]
    below = [_factor(name, -power) for name, power in powers if power < 0]
    if not below:
        return "*".join(above) or "1"
    divisor = below[0] if len(below) == 1 else f"({'*'.join(below)})"
    return f"{'*'.join(above) or '1'}/{divisor}"


def _factor(name: str, power: Fraction) -> str:
    if power == 1:
        return name
    # A root that a user may type again: user^0.5; a third has no such spelling and is only shown.
    decimal = float(power)
    return f"{name}^{power.numerator if power.denominator == 1 else f'{decimal:.4g}'}"


def _refusal(message: str) -> RefusalError:
    return RefusalError("bad_unit", message)


def is_built_in(name: str) -> bool:
    """Whether a name is a currency, a measure of time or a ratio in every model."""
    return name in CURRENCIES or name in TIME or name in _PLURALS or name in _RATIOS or name in {"period", "periods"}


@dataclass(frozen=True)
class UnitSystem:
    """The units of one model.

    Attributes:
        base: declared in ``units.base``.
        period: what ``period`` means: the unit of time that is as long as the axis' grain.
    """

    base: frozenset[str]
    period: str = "month"
    _known: dict[str, Unit] = field(default_factory=dict, compare=False, repr=False)

    def knows(self, name: str) -> bool:
        """Whether ``name`` alone is a unit."""
        return self._canonical(name) is not None

    def _canonical(self, name: str) -> str | None:
        if name in self.base or name in CURRENCIES or name in TIME or name in _RATIOS:
            return name
        return {"%": "percent", "period": self.period, "periods": self.period}.get(name) or _PLURALS.get(name)

    def currencies(self, unit: Unit) -> list[str]:
        """The currencies in a unit."""
        return [name for name, _ in unit.powers if name in CURRENCIES]

    def of(self, text: str) -> Unit:
        """The unit that a text names.

        Raises:
            RefusalError: ``bad_unit``: not in the grammar; ``unknown_unit``: with the name that was probably meant.
        """
        found = self._known.get(text)
        if found is None:
            found = self._known[text] = _UnitParser(text, self).unit()
        return found

    def nearest(self, name: str) -> str | None:
        """The symbol that was probably meant; None: nothing is like it."""
        return did_you_mean(name, {*self.base, *TIME, *CURRENCIES, "percent", "period"}).name

    def symbol(self, name: str) -> Unit:
        """One symbol as a unit; see ``of``."""
        canonical = self._canonical(name)
        if canonical is None:
            near = self.nearest(name)
            meant = f"did you mean {near!r}? " if near else ""
            raise RefusalError("unknown_unit", f"unknown unit {name[:40]!r}: {meant}declare it in units.base to use it")
        return _interned(((canonical, Fraction(1)),))


class _UnitParser:
    """Products and quotients from left to right; ``^`` binds tightest and takes a number."""

    def __init__(self, text: str, system: UnitSystem) -> None:
        if len(text) > MAX_CHARACTERS:
            raise _refusal(f"a unit of {len(text)} characters is too long: at most {MAX_CHARACTERS}")
        self.text = text
        self.system = system
        self.tokens = self._tokens()
        self.index = 0
        self.open = 0

    def _tokens(self) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        position, end = 0, len(self.text.rstrip())
        while position < end:
            match = _TOKEN.match(self.text, position)
            if match is None or match.lastgroup is None:
                raise self.wrong(f"{self.text[position:].lstrip()[:1]!r} is not understood")
            found.append((match.lastgroup, match[match.lastgroup].replace("·", "*")))
            position = match.end()
        return found

    def wrong(self, message: str) -> RefusalError:
        return _refusal(f"{self.text[:60]!r} is no unit: {message}; write it like 'USD/month' or 'ticket/(agent*hour)'")

    def peek(self) -> str:
        return self.tokens[self.index][1] if self.index < len(self.tokens) else ""

    def unit(self) -> Unit:
        unit = self.product()
        if self.index < len(self.tokens):
            raise self.wrong(f"{self.peek()[:20]!r} is not expected")
        return unit

    def product(self) -> Unit:
        unit = self.power()
        while self.peek() in {"*", "/"}:
            operator = self.peek()
            self.index += 1
            right = self.power()
            unit = unit.times(right) if operator == "*" else unit.over(right)
        return unit

    def power(self) -> Unit:
        unit = self.atom()
        if self.peek() != "^":
            return unit
        self.index += 1
        kind, word = self.tokens[self.index] if self.index < len(self.tokens) else ("", "")
        if kind != "number":
            raise self.wrong("a number is expected after '^'")
        self.index += 1
        return unit.to_power(Fraction(word))

    def atom(self) -> Unit:
        if self.index >= len(self.tokens):
            raise self.wrong("it ends too early")
        kind, word = self.tokens[self.index]
        self.index += 1
        if kind == "name":
            return self.system.symbol(word)
        if kind == "number" and word == "1":
            return ONE
        if word != "(":
            raise self.wrong(f"{word!r} is not expected (the only number is 1)")
        self.open += 1
        if self.open > MAX_DEPTH:
            raise self.wrong(f"more than {MAX_DEPTH} brackets")
        unit = self.product()
        if self.peek() != ")":
            raise self.wrong("')' is missing")
        self.index += 1
        self.open -= 1
        return unit
