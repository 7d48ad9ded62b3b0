set local role valueverse_owner;
drop table vault.privacy_action;
drop function audit.on_privacy_action();
drop table vault.erasure;
drop table vault.restriction;
alter table vault.data_key drop constraint data_key_subject_check, add constraint data_key_subject_check check (length(subject) <= 128);
reset role;
