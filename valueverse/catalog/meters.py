"""Meters: which usage events count, which number they carry and how the numbers become one quantity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from valueverse.catalog.fields import Translations
from valueverse.documents import PRINTABLE, Between, Flag, Key, StrictModel, Text, Whole, has, text_schema, wrong
from valueverse.errors import RefusalError
from valueverse.formula import parse_condition, parse_member, parse_path, parse_value

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic.config import JsonDict

Aggregation = Literal["count", "sum", "min", "max", "avg", "latest", "unique_count", "weighted_sum"]
LEVEL_AGGREGATIONS = frozenset({"sum", "latest", "unique_count", "weighted_sum"})
"""Aggregations whose level at the end of a period can be the level at the start of the next one."""
PRORATED_AGGREGATIONS = ("sum", "unique_count")
"""Aggregations that can be counted by days (``prorate: day`` on a charge)."""
MAX_DIMENSIONS = 32


def _judged(judge: Callable[[str], object], text: str, field: str = "") -> None:
    try:
        judge(text)
    except RefusalError as refusal:
        raise wrong(refusal.message, field) from refusal


def _formula(judge: Callable[[str], object]) -> BeforeValidator:
    def checked(value: Any) -> Any:
        if isinstance(value, str):
            _judged(judge, value)
        return value

    return BeforeValidator(checked)


DataPath = Annotated[Text, _formula(parse_path)]
"""Where a value stands in an event's ``data``: ``tokens`` or ``usage.tokens``."""
ConditionFormula = Annotated[Text, _formula(parse_condition)]


class QuantityRounding(StrictModel):
    """Rounding of a metered quantity before it is priced; ``places`` may be negative (-3: thousands)."""

    mode: Literal["half_up", "half_even", "up", "down"] = "half_up"
    places: Annotated[Whole, Between(-12, 18)] = 0


_BY_AGGREGATION: JsonDict = {
    "allOf": [
        {"if": {"properties": {"aggregation": {"const": "count"}}}, "else": has("value")},
        {
            "if": {"properties": {"carry_over": {"const": True}}, "required": ["carry_over"]},
            "then": {"properties": {"aggregation": {"enum": [*sorted(LEVEL_AGGREGATIONS)]}}},
        },
    ]
}


class MeterRule(StrictModel):
    """How events become a quantity; all that ``valueverse meter`` needs.

    ``operation`` is read by unique_count alone, and ``value`` by all but count.
    """

    model_config = ConfigDict(json_schema_extra=_BY_AGGREGATION)

    aggregation: Aggregation
    value: Text | None = None
    operation: DataPath | None = None
    where: ConditionFormula | None = None
    dimensions: Annotated[
        tuple[DataPath, ...], Field(max_length=MAX_DIMENSIONS, json_schema_extra={"uniqueItems": True})
    ] = ()
    carry_over: Flag = False
    rounding: QuantityRounding | None = None

    @model_validator(mode="after")
    def _fits_its_aggregation(self) -> Self:
        if self.aggregation != "count" and self.value is None:
            raise wrong(f"{self.aggregation} needs 'value': the path into data to what it aggregates")
        if self.value is not None:
            _judged(parse_member if self.aggregation == "unique_count" else parse_value, self.value, "value")
        if self.carry_over and self.aggregation not in LEVEL_AGGREGATIONS:
            allowed = ", ".join(sorted(LEVEL_AGGREGATIONS))
            raise wrong(f"{self.aggregation} has no level to carry over; carry_over is for {allowed}")
        if len(set(self.dimensions)) < len(self.dimensions):
            raise wrong("a dimension stands twice in 'dimensions'; keep one of them")
        return self


class Meter(MeterRule):
    """A meter of a catalog: usage events of ``event_type`` feed it."""

    key: Key
    event_type: Annotated[Text, Field(min_length=1, max_length=256), text_schema(f"(?!billing[.]){PRINTABLE}{{1,256}}")]
    name: Text | None = None
    unit: Text | None = Field(None, description="What it counts, as invoices write it: tokens, GB.")
    description: Text | None = None
    translations: Translations = Field(default_factory=dict)

    @model_validator(mode="after")
    def _reads_usage(self) -> Self:
        if self.event_type.startswith("billing."):
            raise wrong(f"the type {self.event_type!r} is reserved for billing events; meters read usage events")
        return self

    @property
    def rule(self) -> MeterRule:
        """How it meters, without what it is called: equal for meters that make the same quantities, and hashable."""
        return MeterRule.model_construct(**{name: getattr(self, name) for name in MeterRule.model_fields})
