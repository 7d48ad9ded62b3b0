"""From a model document to a ``Program``: names, units, cycles, correlations and outputs are checked."""
