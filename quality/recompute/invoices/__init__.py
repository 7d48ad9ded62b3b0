"""What invoices have to bear beside the usage of their charges, in SQL: fees, true-ups, corrections, and themselves."""
