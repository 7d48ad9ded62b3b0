set local role valueverse_owner;
drop view billing.meter_gap;
drop table billing.leakage_flag;
reset role;
