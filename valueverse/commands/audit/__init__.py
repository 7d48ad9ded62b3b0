"""``valueverse audit``: the log of what was done, and proofs that it is whole."""
