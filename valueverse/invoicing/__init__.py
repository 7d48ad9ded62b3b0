"""From lines to invoices: which periods close, what they owe, and the document that says so (billing.md)."""
