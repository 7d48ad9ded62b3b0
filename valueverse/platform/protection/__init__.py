"""Values at rest that are sealed: envelopes, data keys, and what wraps those."""

from valueverse.platform.protection.data_keys import DataKeys, own_keys
from valueverse.platform.protection.envelope import Cell, opened, seal
from valueverse.platform.protection.wrapping import Wrapping, wrapping_of

__all__ = ["Cell", "DataKeys", "Wrapping", "opened", "own_keys", "seal", "wrapping_of"]
