"""What invoices have to bill beside the usage of their charges, in SQL: fees, true-ups, corrections, and themselves."""
