set local role valueverse_reader;
drop function api.value_models(text, text, integer);
drop function api.value_model(text, text, integer);
drop function api.store_value_model(text, text, text, text, text, text, text);
reset role;

set local role valueverse_owner;
drop table value.model;
reset role;
