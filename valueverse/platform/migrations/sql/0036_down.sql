set local role valueverse_owner;
drop table vault.data_key;
drop function vault.refuse_return();
reset role;
drop schema vault;
