"""Use cases: what Dagster, the API and the command line call, one way for all of them.

A service loads through ``valueverse.platform``, computes in the pure modules, writes through the platform and returns
typed results, never printed text.
"""
