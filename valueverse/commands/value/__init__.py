"""``valueverse value``: author, check, run, commit and follow value models."""
