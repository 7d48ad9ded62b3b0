"""The audit log: entries put in order, checkpoints signed, everything verified."""
