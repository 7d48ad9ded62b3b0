"""What finalised invoices lack as known now."""

from valueverse.invoicing.corrections.corrected_invoices import found_differences
from valueverse.invoicing.corrections.differences import PERIOD_TYPES

__all__ = ["PERIOD_TYPES", "found_differences"]
