-- The next file is the schema of procrastinate 3.10.0 as its wheel has it, word for word; it goes into a schema of its own.
create schema queue authorization valueverse_owner;
set local role valueverse_owner;
set local search_path = queue;
