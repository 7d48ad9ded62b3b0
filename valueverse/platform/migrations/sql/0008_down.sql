set local role valueverse_owner;
drop table value.closing, value.verdict, value.proposal, value.result, value.run, value.metric;
reset role;
