"""The former name of ``amount_meters``, until its last users follow."""

from valueverse.catalog.amount_meters import MARK, carried_key, meters_read

__all__ = ["MARK", "carried_key", "meters_read"]
