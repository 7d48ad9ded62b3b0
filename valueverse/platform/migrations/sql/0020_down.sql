set local role valueverse_owner;
drop table billing.marts_left_out;
reset role;
