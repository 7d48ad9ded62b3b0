"""Texts, numbers and dates of an invoice in the customer's language: message catalogues and CLDR patterns."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime, format_interval
from babel.numbers import format_decimal

from valueverse.invoicing.rendering.billed_days import days_of_period
from valueverse.money import minor_units, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LANGUAGES = ("en", "de", "fr", "es")
"""Languages that invoices are written in; each has ``messages/<language>.json``."""
_WIDE = Context(prec=80)
_SHOWN_PLACES = 6
"""Decimals of a quantity or a precise amount; one that has more is shown with the sign for about."""
_MINUS = "\N{MINUS SIGN}"


@lru_cache(maxsize=len(LANGUAGES))
def messages_of(language: str) -> dict[str, str]:
    """The message catalogue of one of ``LANGUAGES``."""
    file = files("valueverse.invoicing.rendering").joinpath(f"messages/{language}.json")
    found: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    return found


def known_locale(name: object) -> str | None:
    """A locale such as 'de-AT' as CLDR writes it, its language alone where CLDR has no such country; None where it is
    in none of ``LANGUAGES``."""
    text = str(name).replace("-", "_")
    for asked in (text, text.partition("_")[0]):
        try:
            locale = Locale.parse(asked)
        except (ValueError, TypeError, UnknownLocaleError):
            continue
        if locale.language in LANGUAGES:
            return str(locale)
    return None


class LocaleFormats:
    """Texts of one language, numbers and dates of one locale, and amounts of one currency."""

    def __init__(self, locale: str, currency: str, zones: Iterable[str | None]) -> None:
        """``zones``: IANA time zones that the billed days may be of, the likeliest first; UTC comes after them."""
        self.locale = locale
        self.language = Locale.parse(locale).language
        self.currency = currency
        self.places = minor_units(currency)
        self._messages = messages_of(self.language)
        self._zones = tuple(zones)

    def text(self, key: str, **values: str) -> str:
        """A message with its values."""
        return self._messages[key].format(**values)

    def message(self, key: str) -> str:
        """A message as the catalogue has it, with its placeholders."""
        return self._messages[key]

    def amount(self, text: str) -> str:
        """An amount in major units, with the currency's decimals."""
        return self._number(Decimal(text), "#,##0" + ("." + "0" * self.places if self.places else ""))

    def money(self, text: str) -> str:
        """An amount with its currency's code."""
        return f"{self.amount(text)}\N{NO-BREAK SPACE}{self.currency}"

    def precise(self, text: str) -> str:
        """An unrounded amount: the currency's decimals at least."""
        return self._short(text, _decimals(self.places), self.places)

    def column(self, texts: Iterable[str]) -> list[str]:
        """Unrounded amounts of one column: all with the decimals of the one that has the most."""
        numbers = [Decimal(text) for text in texts]
        with localcontext(_WIDE):
            shown = [number.quantize(Decimal(1).scaleb(-_SHOWN_PLACES), ROUND_HALF_UP) for number in numbers]
            least = max([self.places, *(-int(one.normalize().as_tuple().exponent) for one in shown)])
        return [self._short(plain(number), _decimals(least), least) for number in numbers]

    def quantity(self, text: str) -> str:
        """A quantity without trailing zeros."""
        return self._short(text, _decimals(0), 0)

    def price(self, text: str) -> str:
        """A unit price: every decimal, the currency's at least where it has any."""
        number = Decimal(text)
        least = self.places if number != number.to_integral_value() else 0
        return self._number(number, f"#,##0.{'0' * least}{'#' * (18 - least)}")

    def percent(self, text: str) -> str:
        """A percentage without its sign."""
        return self._number(Decimal(text), "#,##0.##################")

    def _short(self, text: str, pattern: str, least: int) -> str:
        number = Decimal(text)
        with localcontext(_WIDE):
            rounded = number.quantize(Decimal(1).scaleb(-_SHOWN_PLACES), ROUND_HALF_UP)
            about = "" if rounded == number else "\N{ALMOST EQUAL TO} "
        return about + self._number(rounded, pattern + "#" * (_SHOWN_PLACES - least))

    def _number(self, number: Decimal, pattern: str) -> str:
        with localcontext(_WIDE):
            return format_decimal(number, format=pattern, locale=self.locale).replace("-", _MINUS)

    def day(self, text: str) -> str:
        """An ISO date."""
        return format_date(date.fromisoformat(text[:10]), "long", locale=self.locale)

    def short_day(self, text: str) -> str:
        """An ISO date with its month cut short."""
        return format_date(date.fromisoformat(text[:10]), "medium", locale=self.locale)

    def day_of(self, text: str) -> str:
        """The seller's day (ISO) of an instant; without an offset it is in UTC."""
        moment = datetime.fromisoformat(text)
        zones = [zone for zone in self._zones if zone]
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return moment.astimezone(ZoneInfo(zones[-1] if zones else "UTC")).date().isoformat()

    def instant(self, text: str) -> str:
        """An instant, in UTC."""
        moment = datetime.fromisoformat(text).astimezone(UTC)
        return f"{format_datetime(moment, 'medium', locale=self.locale)} UTC"

    def days(self, period: Mapping[str, Any]) -> str:
        """The days that a period covers, both ends shown."""
        first, last = self.first_and_last_day(period)
        if first == last:
            return format_date(first, "medium", locale=self.locale)
        return str(format_interval(first, last, "yMMMd", locale=self.locale))

    def first_and_last_day(self, period: Mapping[str, Any]) -> tuple[date, date]:
        """The days that a period [from, to) of instants covers, in the zone that it was billed in."""
        return days_of_period(period, self._zones)

    def country(self, code: str | None) -> str | None:
        """Name of a country (ISO 3166-1 alpha-2)."""
        return None if code is None else Locale.parse(self.locale).territories.get(code, code)


def _decimals(least: int) -> str:
    """The pattern of a number with at least so many decimals."""
    return "#,##0." + "0" * least
