"""``valueverse privacy``: data about people, and the keys that seal it."""
