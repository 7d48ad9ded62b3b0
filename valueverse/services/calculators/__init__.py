"""The calculators: one answer per document, without a server."""
