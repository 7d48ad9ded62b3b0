"""Commands on invoices, journals and past events."""
