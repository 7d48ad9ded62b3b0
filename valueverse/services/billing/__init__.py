"""Usage into invoices, the journal, and what is asked of them afterwards."""
