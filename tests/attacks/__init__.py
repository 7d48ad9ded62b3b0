"""Attacks on the database, and its rules weakened one at a time to see that an attack notices."""
