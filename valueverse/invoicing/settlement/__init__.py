"""From lines to amounts due: coupons, tax, credit notes and wallets."""
