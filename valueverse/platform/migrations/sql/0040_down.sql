set local role valueverse_owner;
alter table vault.privacy_action drop constraint privacy_action_action_check, add constraint privacy_action_action_check
    check (action in ('restricted', 'released', 'exported', 'erased', 'retention_ended')) not valid;
drop table vault.instrument;
reset role;
