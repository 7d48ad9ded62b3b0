"""What finalised invoices lack as known now."""
