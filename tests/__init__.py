"""Tests: a package, so that no other of this name is found instead (one of the clients that are tested ships one)."""
