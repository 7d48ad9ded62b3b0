"""The lines of an invoice: fees, usage, commitments, one-offs, outcomes and thresholds."""
