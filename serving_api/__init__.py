"""The serving API: invoices and usage to the right tenant only."""
