"""Protection of data about people: keys, export, restriction and erasure."""
