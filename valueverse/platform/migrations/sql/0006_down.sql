set local role valueverse_owner;
drop table billing.leakage_flag;
reset role;
