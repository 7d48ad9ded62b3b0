"""Routes of value architect, value committer and value executor."""
