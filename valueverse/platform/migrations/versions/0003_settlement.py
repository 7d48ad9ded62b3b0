"""What invoices use up of coupons, credit notes and wallets; adjustments; invoices in the place of voided ones."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__)
