set local role valueverse_owner;
alter table value.run drop column written;
drop table value.deed;
reset role;
