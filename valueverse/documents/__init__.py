"""Documents that users write (YAML, JSON, NDJSON): strict reading, and every problem at once with its place."""

from valueverse.documents.problems import DocumentError, Problem, Problems

__all__ = ["DocumentError", "Problem", "Problems"]
