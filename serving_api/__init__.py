"""The serving API: invoices and usage to the right tenant only."""

from valueverse.platform.garbage import collect_rarely

collect_rarely()
