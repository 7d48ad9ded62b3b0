"""Discounts that are given back: a threshold invoice's coupon where usage fell afterwards."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__)
