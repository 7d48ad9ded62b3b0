set local role valueverse_owner;
drop table billing.journal_posting, billing.journal_entry;
drop function billing.check_posting();
reset role;
