set local role valueverse_owner;
drop table billing.held_tenant;
reset role;
