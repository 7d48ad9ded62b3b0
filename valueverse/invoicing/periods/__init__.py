"""Which billing periods close in a window of dates, and which invoices they make."""
