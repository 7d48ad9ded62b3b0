set local role valueverse_owner;
drop table value.approval, value.commit;
reset role;
