"""Who may do what in the database: roles and their bounds, analysts, and the check of the whole catalogue."""
