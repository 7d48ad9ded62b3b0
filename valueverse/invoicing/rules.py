"""Rules of billing that several of its steps share."""

RULES_VERSION = "1"
"""Version of the billing rules in this engine; it is on every invoice (basis.rules_version)."""

CORRECTION = "correction"
"""Invoice type of what corrects other invoices, where no invoice of its subscription will come."""

OF_PERIOD = ("usage", "minimum")
"""Kinds of lines of which threshold invoices may bill a part."""

OF_CLOSE = ("threshold", "period")
"""Purposes of the invoices that share what a period comes to."""
