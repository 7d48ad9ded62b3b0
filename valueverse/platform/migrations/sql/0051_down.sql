set local role valueverse_reader;
drop function api.session_open(text, uuid);
reset role;
