"""The double-entry journal of everything booked: invoices, payments, credit notes, wallets, and their corrections."""
