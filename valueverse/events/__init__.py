"""CloudEvents in: envelope contract, validation, dedup and amendments (contracts.md, section 1)."""
