"""Protection of data about people: restrictions, and tokens of payment instruments."""
