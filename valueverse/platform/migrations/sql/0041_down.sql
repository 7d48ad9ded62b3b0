set local role valueverse_reader;
drop function api.prior_watermark(text, text, timestamptz, timestamptz);
reset role;

set local role valueverse_owner;
drop function billing.prior_watermark(text, text, timestamptz, timestamptz);
reset role;
