set local role valueverse_owner;
drop table billing.rerating;
reset role;
