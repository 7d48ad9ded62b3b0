"""The language of a model's expressions: units, types, functions; every expression is checked before it is run."""
