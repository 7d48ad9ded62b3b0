"""Requests whose events are in a topic of Kafka: the inbox holds where, until the lake has them."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__)
