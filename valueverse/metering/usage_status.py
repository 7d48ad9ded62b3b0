"""The status of a usage row (``USAGE.status``)."""

OK, NO_METER, NO_VALUE = "ok", "no_meter", "no_value"
TOO_LONG = "too_long"
"""A dimension's value, or one that unique_count counts, that no index could hold."""
AWAITING_ORIGINAL, VOID = "awaiting_original", "void"
