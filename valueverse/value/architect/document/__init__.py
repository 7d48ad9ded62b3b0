"""Model documents: what may stand where, read from YAML or JSON, with one canonical text and hash."""
