"""The model document, ``schema: valueverse.value_model/v1`` (docs/value-models.md): what may stand where.

Short forms are written out on reading (``adoption: 0.5`` is ``adoption: {value: 0.5}``), so that two spellings of one
model are one model. Names, units, cycles and outputs are judged by the compiler.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    WithJsonSchema,
    model_validator,
)

from valueverse.documents import JSON_NUMBER, Source, StrictModel, has_one_of, whole_schema, wrong
from valueverse.value.architect.document.distributions import read_distribution
from valueverse.value.architect.document.numbers import (
    AMOUNT_SCHEMA,
    NUMBER_SCHEMA,
    Decay,
    Fraction,
    Number,
    Rate,
    Risk,
    number_from,
    numbers_from,
)
from valueverse.value.architect.document.schema_parts import (
    DIST_SCHEMA,
    DURATION_PATTERN,
    DURATION_SCHEMA,
    EXPRESSION_SCHEMA,
    FEE_SCHEMA,
    FLAG_SCHEMA,
    MAX_NAMES,
    MISSING_SCHEMA,
    OUTPUT_SCHEMA,
    RHO_SCHEMA,
    START_SCHEMA,
    UNIT_SCHEMA,
)

SCHEMA = "valueverse.value_model/v1"
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}\Z")
MAX_PERIODS = 3_660
MAX_SCENARIOS = 100
_DURATION = re.compile(rf"{DURATION_PATTERN}\Z")
_START = re.compile(r"[0-9]{4}-[0-9]{2}(-[0-9]{2})?\Z")

Grain = Literal["day", "week", "month", "quarter", "year"]


def _name(value: object) -> str:
    if isinstance(value, str) and NAME.match(value):
        return value
    raise wrong(f"{str(value)[:80]!r} is no name: up to 63 of a-z, A-Z, 0-9 and '_', no digit first", code="bad_name")


def _text(value: object) -> str:
    if isinstance(value, str) and len(value) <= 4_096:
        return value
    raise wrong("text of at most 4096 characters is expected here; put numbers in quotes")


def _unit(value: object) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:g}"
    return _text(value)


def _expression(value: object) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return repr(value)
    if isinstance(value, str) and value.strip():
        return value
    raise wrong("an expression is expected here, such as 'tickets * cost_tick'")


def _value(value: object) -> float | str | list[float]:
    """``_amount``, or a list of numbers, one per period."""
    return numbers_from(value, (1, MAX_PERIODS)) if isinstance(value, list) else _amount(value)


def _amount(value: object) -> float | str:
    """A number, or a text with a unit that the compiler reads."""
    if isinstance(value, str) and not JSON_NUMBER.match(value):
        return _expression(value)
    return number_from(value)


def _duration(value: object) -> str:
    if isinstance(value, str) and _DURATION.match(value):
        return value
    raise wrong(f"{str(value)[:40]!r} is no duration: write it like '3 months'")


def duration_parts(text: str) -> tuple[int, str]:
    """Count and unit of a duration that was taken: ``3 months`` is (3, "month")."""
    match = _DURATION.match(text)
    return (int(match[1]), match[2]) if match else (0, "day")


def _start(value: object) -> str:
    if value == "commit.start":
        return "commit.start"
    if isinstance(value, str) and _START.match(value):
        day = value if len(value) == 10 else f"{value}-01"
        try:
            return date.fromisoformat(day).isoformat()
        except ValueError:
            pass
    raise wrong(f"{str(value)[:40]!r} is no start: write 'commit.start' or a day such as '2023-11-01'")


def _missing(value: object) -> Any:
    if value in {"error", "zero", "carry_forward"} if isinstance(value, str) else False:
        return value
    if isinstance(value, dict) and len(value) == 1:
        if "carry_forward" in value:
            return {"carry_forward": _duration(value["carry_forward"])}
        if "default" in value:
            return {"default": number_from(value["default"], "default")}
    raise wrong("missing is error, zero, carry_forward, {carry_forward: 2 months} or {default: 0.5}")


def _whole(value: object) -> object:
    if isinstance(value, bool):
        raise wrong(f"a whole number is expected here, not {str(value).lower()}")
    return value


def _distribution(value: object) -> dict[str, Any]:
    return read_distribution(value)[0]


def _percent_list(value: object) -> Any:
    return [value] if isinstance(value, str | int | float) else value


def _outputs(value: object) -> list[Any]:
    """A list of entries; a mapping is read as a list of its pairs."""
    entries = [{name: wanted} for name, wanted in value.items()] if isinstance(value, dict) else value
    if not isinstance(entries, list) or len(entries) > MAX_NAMES:
        raise wrong("outputs is a list such as [npv, roi, {percentiles: [5, 50, 95]}]")
    for index, entry in enumerate(entries):
        if not isinstance(entry, str | dict) or not entry:
            raise wrong("an output is a name, or a mapping such as {probability: 'npv > 0'}", f"[{index}]")
    return entries


def _short(field: str) -> BeforeValidator:
    """A scalar (or list, for drivers of one number) stands for a mapping with that one field."""
    return BeforeValidator(lambda value: value if isinstance(value, dict) else {field: value})


_EXPRESSION = WithJsonSchema(EXPRESSION_SCHEMA)

Name = Annotated[str, BeforeValidator(_name), WithJsonSchema({"type": "string", "pattern": f"^{NAME.pattern[:-2]}$"})]
Text = Annotated[str, BeforeValidator(_text), WithJsonSchema({"type": "string", "maxLength": 4096})]
UnitText = Annotated[
    str,
    BeforeValidator(_unit),
    WithJsonSchema(UNIT_SCHEMA),
]
ExpressionText = Annotated[str, BeforeValidator(_expression), _EXPRESSION]
Amount = Annotated[float | str, BeforeValidator(_amount), WithJsonSchema(AMOUNT_SCHEMA)]
"""A number, or a quantity such as ``60000 USD/year``."""
Value = Annotated[
    float | str | list[float],
    BeforeValidator(_value),
    WithJsonSchema(
        {
            "anyOf": [
                *AMOUNT_SCHEMA["anyOf"],
                {"type": "array", "minItems": 1, "maxItems": MAX_PERIODS, "items": NUMBER_SCHEMA},
            ]
        }
    ),
]
"""An amount, or one number per period."""
Duration = Annotated[str, BeforeValidator(_duration), WithJsonSchema(DURATION_SCHEMA)]
References = Annotated[
    list[Text],
    BeforeValidator(_percent_list),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "maxLength": 4096},
                {"type": "array", "items": {"type": "string", "maxLength": 4096}},
            ]
        }
    ),
]


_WHOLE = BeforeValidator(_whole)
_YEAR_SCHEMA = {
    "anyOf": [
        {"type": "integer", "minimum": 1900, "maximum": 2200},
        {"type": "string", "pattern": r"^\s*[+]?0*(19[0-9]{2}|2[01][0-9]{2}|2200)([.]0*)?\s*$"},
    ]
}


class Discount(StrictModel):
    """What a year takes off a later payment: annual fraction, compounding, place of the payment in its period."""

    rate: Rate = 0.0
    compounding: Literal["effective", "nominal", "continuous"] = "effective"
    timing: Literal["end", "begin", "mid"] = "end"


class Axis(StrictModel):
    """The periods 1..``periods``; ``start`` is the first day, or ``commit.start``: each commit states its own."""

    grain: Grain = "month"
    start: Annotated[str, BeforeValidator(_start), WithJsonSchema(START_SCHEMA)] = "commit.start"
    periods: Annotated[int, Field(ge=1, le=MAX_PERIODS), _WHOLE, WithJsonSchema(whole_schema(1, MAX_PERIODS))] = 1
    discount: Annotated[Discount, _short("rate")] = Discount()


class Units(StrictModel):
    """Base units of this model; currencies and time are built in."""

    base: Annotated[list[Name], Field(max_length=MAX_NAMES)] = []


class Binding(StrictModel):
    """Where a measured input comes from."""

    metric: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(\.[A-Za-z0-9_][A-Za-z0-9_.-]*)*$", max_length=200)]
    agg: Literal["sum", "mean", "min", "max", "first", "last", "count"] = "sum"
    window: Duration | None = None
    freeze: Literal["baseline"] | None = None


class Given(StrictModel):
    """A value: certain, uncertain or measured."""

    model_config = ConfigDict(json_schema_extra=has_one_of("value", "dist", "bind"))

    value: Value | None = None
    dist: Annotated[dict[str, Any], BeforeValidator(_distribution), WithJsonSchema(DIST_SCHEMA)] | None = None
    bind: Annotated[Binding, _short("metric")] | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Given:
        stated = [name for name in ("value", "dist", "bind") if getattr(self, name) is not None]
        if len(stated) != 1:
            found = " and ".join(stated) or "none of them"
            raise wrong(f"an input has one of value, dist and bind; here stands {found}", stated[1] if stated else "")
        return self


class Input(Given):
    """An input with its unit (none stated: a bare number), and who answers for it.

    ``internal``: the vendor's own number, which no customer's copy of a report shows.
    """

    unit: UnitText | None = None
    missing: Annotated[Any, BeforeValidator(_missing), WithJsonSchema(MISSING_SCHEMA)] = "error"
    evidence: References = []
    owner: Text | None = None
    description: Text | None = None
    internal: Annotated[bool, WithJsonSchema(FLAG_SCHEMA)] = False


class Correlation(StrictModel):
    """Correlation of two uncertain inputs (of the normal scores behind their draws)."""

    between: Annotated[list[Name], Field(min_length=2, max_length=2, json_schema_extra={"uniqueItems": True})]
    rho: Annotated[Number, WithJsonSchema(RHO_SCHEMA)]


class Variable(StrictModel):
    """A number that follows from others; no unit stated: the one that the expression has."""

    unit: UnitText | None = None
    expr: ExpressionText
    description: Text | None = None


class Driver(StrictModel):
    """A benefit: money of a period, lowered by risk, attribution and decay (annual)."""

    kind: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")] = "benefit"
    expr: ExpressionText
    unit: UnitText | None = None
    risk: Fraction = 0.0
    attribution: Fraction = 1.0
    decay: Decay = 0.0
    evidence: References = []
    description: Text | None = None


class Cost(StrictModel):
    """A cost: money of every period, or of the period ``at`` alone (0: before the first); risk raises it."""

    expr: ExpressionText
    unit: UnitText | None = None
    at: Annotated[int, Field(ge=0, le=MAX_PERIODS), _WHOLE, WithJsonSchema(whole_schema(0, MAX_PERIODS))] | None = None
    risk: Risk = 0.0
    evidence: References = []
    description: Text | None = None


class Pricing(StrictModel):
    """The fee on the outcome: a share of ``output``, within floor and cap."""

    output: Text
    share: Fraction
    floor: Annotated[Amount, WithJsonSchema(FEE_SCHEMA)] | None = None
    cap: Annotated[Amount, WithJsonSchema(FEE_SCHEMA)] | None = None
    period: Grain = "month"
    true_up: Literal["cumulative", "none"] = "cumulative"
    dispute_days: Annotated[int, Field(ge=0, le=3_660), _WHOLE, WithJsonSchema(whole_schema(0, 3_660))] = 30
    refund: Annotated[bool, WithJsonSchema(FLAG_SCHEMA)] = False


class Evidence(StrictModel):
    """Where a number comes from."""

    title: Text
    url: Text | None = None
    year: Annotated[int, Field(ge=1900, le=2200), _WHOLE, WithJsonSchema(_YEAR_SCHEMA)] | None = None
    quote: Text | None = None
    note: Text | None = None


def _sorted(entries: dict[str, Any]) -> dict[str, Any]:
    return dict(sorted(entries.items()))


_Many = Field(max_length=MAX_NAMES)
_BY_NAME = AfterValidator(_sorted)
"""The order in a file means nothing: models with one hash are computed in one order, and so to the same bits."""


class Model(StrictModel):
    """A value model, read and in shape."""

    schema_: Literal["valueverse.value_model/v1"] = Field(alias="schema")
    model: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$")]
    title: Text | None = None
    description: Text | None = None
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = None
    axis: Axis = Axis()
    units: Units = Units()
    inputs: Annotated[dict[Name, Annotated[Input, _short("value")]], _Many, _BY_NAME] = {}
    correlations: Annotated[list[Correlation], _Many] = []
    variables: Annotated[dict[Name, Annotated[Variable, _short("expr")]], _Many, _BY_NAME] = {}
    drivers: Annotated[dict[Name, Annotated[Driver, _short("expr")]], _Many, _BY_NAME] = {}
    costs: Annotated[dict[Name, Annotated[Cost, _short("expr")]], _Many, _BY_NAME] = {}
    scenarios: Annotated[
        dict[Name, Annotated[dict[Name, Annotated[Given, _short("value")]], _BY_NAME]],
        Field(max_length=MAX_SCENARIOS),
        _BY_NAME,
    ] = {}
    outputs: Annotated[list[Any], BeforeValidator(_outputs), WithJsonSchema(OUTPUT_SCHEMA)] = []
    pricing: Pricing | None = None
    evidence: Annotated[dict[str, Annotated[Evidence, _short("title")]], _Many] = {}

    _source: Source | None = PrivateAttr(default=None)

    @property
    def source(self) -> Source | None:
        """The text it was read from, for the places of what is wrong."""
        return self._source
