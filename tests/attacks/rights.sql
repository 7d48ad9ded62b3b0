-- What a role has beyond tables, one question each: pairs of role and thing, for the roles given.

-- uses schema:
select r.rolname, n.nspname from pg_namespace n, pg_roles r where r.rolname = any(%s) and n.nspname !~ '^pg_' and
    n.nspname <> 'information_schema' and has_schema_privilege(r.oid, n.oid, 'usage');

-- creates in:
select r.rolname, n.nspname from pg_namespace n, pg_roles r where r.rolname = any(%s) and n.nspname !~
    '^pg_(temp|toast)' and has_schema_privilege(r.oid, n.oid, 'create');

-- calls:
select r.rolname, n.nspname || '.' || p.proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace,
    pg_roles r where r.rolname = any(%s) and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and
    has_function_privilege(r.oid, p.oid, 'execute');

-- uses database:
select r.rolname, case when d.datname = current_database() then 'this' else d.datname end || ' ' || p from
    pg_database d, pg_roles r, unnest(array['connect', 'temporary', 'create']) p where r.rolname = any(%s) and
    d.datallowconn and has_database_privilege(r.oid, d.oid, p);

-- uses tablespace:
select r.rolname, t.spcname from pg_tablespace t, pg_roles r where r.rolname = any(%s) and
    has_tablespace_privilege(r.oid, t.oid, 'create');

-- calls of the server:
select r.rolname, p.oid::regprocedure::text from pg_proc p, pg_roles r where r.rolname = any(%s) and
    p.pronamespace = 'pg_catalog'::regnamespace and has_function_privilege(r.oid, p.oid, 'execute') and (p.proname ~
    '^pg_(try_)?advisory_(xact_)?lock' or p.proname ~ '^(lo_|loread$|lowrite$)' or p.proname ~
    '^(pg_notify|pg_logical_emit|pg_read_|pg_ls_|pg_stat_file|pg_rotate|pg_reload|pg_promote|pg_switch|pg_log_backend|pg_create_restore|pg_backup_|pg_stat_reset|pg_hba|pg_show_all_file|pg_current_logfile)');

-- reads of the server:
select r.rolname, c.oid::regclass::text from pg_class c, pg_roles r where r.rolname = any(%s) and c.relnamespace =
    'pg_catalog'::regnamespace and has_any_column_privilege(r.oid, c.oid, 'select') and c.relname in ('pg_authid',
    'pg_shadow', 'pg_statistic', 'pg_statistic_ext_data', 'pg_largeobject', 'pg_user_mapping', 'pg_hba_file_rules',
    'pg_ident_file_mappings', 'pg_file_settings', 'pg_config', 'pg_shmem_allocations', 'pg_backend_memory_contexts',
    'pg_replication_origin_status', 'pg_dsm_registry_allocations', 'pg_shmem_allocations_numa', 'pg_aios');

-- writes to the server:
select r.rolname, c.oid::regclass::text from pg_class c, pg_roles r where r.rolname = any(%s) and c.relnamespace
    in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) and c.relname <> 'pg_settings' and
    has_table_privilege(r.oid, c.oid, 'insert, update, delete, truncate');

-- sets:
select r.rolname, s.name from pg_settings s, pg_roles r where r.rolname = any(%s) and s.context in ('superuser',
    'superuser-backend', 'sighup', 'postmaster') and has_parameter_privilege(r.oid, s.name, 'set, alter system');

-- becomes:
select r.rolname, o.rolname from pg_roles r, pg_roles o where r.rolname = any(%s) and r.oid <> o.oid and
    pg_has_role(r.oid, o.oid, 'member');

-- takes with it:
select r.rolname, o.rolname from pg_auth_members m join pg_roles r on r.oid = m.member join pg_roles o on o.oid =
    m.roleid where r.rolname = any(%s) and m.admin_option;

-- is more than a login:
select rolname, 'x' from pg_roles where rolname = any(%s) and (rolsuper or rolcreatedb or rolcreaterole or
    rolreplication or rolbypassrls and rolname <> 'valueverse_builder' or rolcanlogin <> (rolname ~
    '^analyst|_api$|_builder$'));

-- owns:
select r.rolname, c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace join
    pg_roles r on r.oid = c.relowner where r.rolname = any(%s) and n.nspname !~ '^pg_' and n.nspname <>
    'information_schema' and (r.rolname <> 'valueverse_builder' or n.nspname not in ('staging', 'intermediate',
    'marts', 'marts_partitions'));

-- owns function:
select r.rolname, n.nspname || '.' || p.proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace join
    pg_roles r on r.oid = p.proowner where r.rolname = any(%s) and n.nspname !~ '^pg_' and n.nspname <>
    'information_schema';

-- owns schema:
select r.rolname, n.nspname from pg_namespace n join pg_roles r on r.oid = n.nspowner where r.rolname = any(%s);

-- owns database:
select r.rolname, 'x' from pg_database d join pg_roles r on r.oid = d.datdba where r.rolname = any(%s) and
    d.datname = current_database();

-- lets in:
select r.rolname, m.rolname from pg_auth_members as am join pg_roles r on r.oid = am.roleid
    join pg_roles m on m.oid = am.member where r.rolname = any(%s) and not m.rolsuper;

-- is trusted with what policies hide by:
select r.rolname, p.oid::regprocedure::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace, pg_roles r
    where r.rolname = any(%s) and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and p.proleakproof;
