"""Numbers, names and periods as people read them: no raw float reaches a page."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from valueverse.dates import month_later
from valueverse.errors import RefusalError
from valueverse.money import minor_units, plain, round_decimal

SPACE = "\u00a0"
"""Between a number and its unit: they stay on one line."""
MINUS = "\u2212"
NONE = "\u2013"
"""Where there is no value."""
_WHOLE_FROM = 1_000
"""An estimate of this much and more is shown in whole units of its currency."""
_HUGE = Decimal(10) ** 15
"""From here on digits carry no information: a power of ten is shown."""
_MONTHS = {"month": 1, "quarter": 3, "year": 12}


def estimate(value: float | None, currency: str) -> str:
    """An amount that a model comes to: ``1,234 USD``, below a thousand ``78.81 USD``."""
    if value is None:
        return NONE
    if value == 0 or abs(value) >= _HUGE:
        return f"{number(value)}{SPACE}{currency}"
    whole, places = _exact(value), _places(currency)
    rounded = round_decimal(whole, 0 if abs(round_decimal(whole, places)) >= _WHOLE_FROM else places)
    return f"{_grouped(rounded)}{SPACE}{currency}"


def amount(value: Decimal, currency: str) -> str:
    """An amount that is billed or was invoiced, to the currency's minor unit."""
    return f"{_grouped(round_decimal(value, _places(currency)))}{SPACE}{currency}"


def _places(currency: str) -> int:
    try:
        return minor_units(currency)
    except RefusalError:
        # A model may count in a unit that nobody is invoiced in, such as gold.
        return 2


def _exact(value: float | Decimal) -> Decimal:
    """The digits that a float shows; NumPy's floats among them."""
    return value if isinstance(value, Decimal) else Decimal(repr(float(value)))


def _grouped(number: Decimal) -> str:
    text = f"{abs(number):,f}"
    return f"{MINUS}{text}" if number < 0 else text


def number(value: float | Decimal | None) -> str:
    """A number with four digits that count: ``20,000``, ``0.01235``, ``1,234,568``; very small or large as a power."""
    if value is None:
        return NONE
    whole = _exact(value)
    size = whole.adjusted()
    if not whole:
        return "0"
    if size < -6 or abs(whole) >= _HUGE:
        mantissa, _, exponent = f"{whole:.3e}".partition("e")
        return f"{_grouped(Decimal(plain(Decimal(mantissa))))}{SPACE}x{SPACE}10^{int(exponent)}"
    return _grouped(Decimal(plain(round_decimal(whole, max(3 - size, 0)))))


def measure(value: float | None, unit: str) -> str:
    """A number with its unit; a plain one has none."""
    return number(value) if unit == "1" or value is None else f"{number(value)}{SPACE}{unit}"


def percent(fraction: float | Decimal | None) -> str:
    """``79 %``; below a tenth with one decimal."""
    if fraction is None:
        return NONE
    hundredths = _exact(fraction) * 100
    if abs(hundredths) >= _HUGE:
        return f"{number(hundredths)}{SPACE}%"
    rounded = round_decimal(hundredths, 0 if abs(hundredths) >= 10 else 1)
    return f"{_grouped(Decimal(plain(rounded)))}{SPACE}%"


def lasting(periods: float | None, grain: str) -> str:
    """A length of time in periods: ``6.4 months``, ``1 quarter``."""
    if periods is None:
        return NONE
    huge = abs(periods) >= _HUGE
    text = number(periods) if huge else _grouped(Decimal(plain(round_decimal(_exact(periods), 1))))
    return f"{text}{SPACE}{grain}{'' if text == '1' else 's'}"


def name(identifier: str) -> str:
    """An identifier in words: ``driver.support_deflection`` is ``support deflection``."""
    return printable(identifier.rpartition(".")[2].replace("_", " ") or identifier)


def printable(text: str) -> str:
    """Text without control characters, which neither HTML nor SVG can hold."""
    return "".join(one if one.isprintable() or one in f"\n{SPACE}" else "\ufffd" for one in text)


def day(moment: dt.datetime | dt.date) -> str:
    """``16 November 2023``, of an instant in UTC."""
    found = moment.astimezone(dt.UTC) if isinstance(moment, dt.datetime) else moment
    return f"{found.day} {found:%B %Y}"


def instant(moment: dt.datetime) -> str:
    """``16 November 2023, 18:15 UTC``."""
    return f"{day(moment)}, {moment.astimezone(dt.UTC):%H:%M} UTC"


def period(n: int, grain: str, start: dt.date | None) -> str:
    """Name of period ``n`` (0: before the first): ``Nov 2023``, ``Q4 2023``, ``2023``, ``16 Nov 2023``, ``month 3``."""
    if n == 0:
        return "start"
    if start is None:
        return f"{grain} {n}"
    if grain not in _MONTHS:
        first = start + dt.timedelta(days=(n - 1) * (7 if grain == "week" else 1))
        return f"{first.day} {first:%b %Y}"
    first = month_later(start, (n - 1) * _MONTHS[grain])
    if grain == "quarter" and start.month % 3 == 1:
        return f"Q{(first.month + 2) // 3} {first.year}"
    return f"{first.year}" if grain == "year" and start.month == 1 else f"{first:%b %Y}"


def listing(parts: list[str]) -> str:
    """``a, b and c``."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else NONE
