"""People of a tenant: their addresses, passwords and invitations, and the mails that they get."""
