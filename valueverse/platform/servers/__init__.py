"""The embedded servers and their processes."""
