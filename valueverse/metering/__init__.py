"""Usage events + meters -> usage rows -> quantities per billing window."""

from valueverse.metering.attribution import exclusive_attributions
from valueverse.metering.daily_usage import ADDITIVE, derive_daily_usage
from valueverse.metering.quantities import QuantityScope, events_by_days, meter_quantities
from valueverse.metering.usage import MeterAssignments, derive_usage, usage_rows
from valueverse.metering.usage_questions import UsageQuestion, WindowSize, answer_usage
from valueverse.metering.usage_status import NO_VALUE, OK, TOO_LONG, VOID
from valueverse.metering.window_join import WINDOW_KEYS, usage_near_windows, usage_of_customers

__all__ = [
    "ADDITIVE",
    "NO_VALUE",
    "OK",
    "TOO_LONG",
    "VOID",
    "WINDOW_KEYS",
    "MeterAssignments",
    "QuantityScope",
    "UsageQuestion",
    "WindowSize",
    "answer_usage",
    "derive_daily_usage",
    "derive_usage",
    "events_by_days",
    "exclusive_attributions",
    "meter_quantities",
    "usage_near_windows",
    "usage_of_customers",
    "usage_rows",
]
