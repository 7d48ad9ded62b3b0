"""The usage lines of an invoice: which usage a charge is assigned, what its price reads, and what it comes to."""
