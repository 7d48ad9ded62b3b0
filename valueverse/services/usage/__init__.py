"""Events into typed usage, and the account of every usage event."""
