-- Everything in the catalogue that decides who may do what, as facts (kind, object, aspect, value), in one JSON array. Read by
-- administrators and by the API's login: only relations of pg_catalog that everybody may read.
-- An extension is a fact itself, and not each of its objects; an object put into one that is always there is none of its own.
with migrated as (
    select r.oid, r.rolsuper
      from pg_class as c join pg_namespace as n on n.oid = c.relnamespace join pg_roles as r on r.oid = c.relowner
     where n.nspname = 'public' and c.relname = 'alembic_version'
),
names as (
    select r.oid, r.rolname::text as rolname, r.rolname in ('valueverse_owner', 'valueverse_reader', 'valueverse_analyst',
               'valueverse_builder', 'valueverse_api') as of_ours, r.rolname like 'analyst\_%' as of_analysts,
           case when r.rolname in ('valueverse_owner', 'valueverse_reader', 'valueverse_analyst', 'valueverse_builder',
                                   'valueverse_api') or r.rolname like 'analyst\_%' then r.rolname::text
                when r.rolsuper or r.oid = (select migrated.oid from migrated)
                    then 'administrator'
                else r.rolname::text end as name
      from pg_roles as r
    union all select 0, 'everybody', false, false, 'everybody'
),
spaces as (
    select n.oid, n.nspname::text as name, n.nspname in ('pg_catalog', 'information_schema') as of_server
      from pg_namespace as n where n.nspname !~ '^pg_(toast|temp_|toast_temp_)'
),
members as (
    select d.classid, d.objid
      from pg_depend as d join pg_extension as e on d.refclassid = 'pg_extension'::regclass and e.oid = d.refobjid
     where d.deptype = 'e' and e.extname <> 'plpgsql'
       and (e.extname <> 'pg_stat_statements'
            or (pg_identify_object(d.classid, d.objid, d.objsubid)).identity ~ '(^|[.])pg_stat_statements')
),
relations as (
    select format('%I.%I', s.name, c.relname) as name, c.*
      from pg_class as c join spaces as s on s.oid = c.relnamespace
     where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and (not s.of_server or c.oid >= 16384)
       and ('pg_class'::regclass, c.oid) not in (select * from members)
),
functions as (
    select format('%I.%I(%s)', s.name, p.proname, pg_get_function_identity_arguments(p.oid)) as name, p.*
      from pg_proc as p join spaces as s on s.oid = p.pronamespace
     where (not s.of_server or p.oid >= 16384) and ('pg_proc'::regclass, p.oid) not in (select * from members)
),
acls (kind, object, owner, acl) as (
    select 'schema', s.name, n.nspowner, coalesce(n.nspacl, acldefault('n', n.nspowner))
      from spaces as s join pg_namespace as n using (oid)
    union all
    select case relkind when 'S' then 'sequence' else 'table' end, name, relowner,
           coalesce(relacl, acldefault((case relkind when 'S' then 's' else 'r' end)::"char", relowner))
      from relations
    union all
    select 'column', format('%s.%I', r.name, a.attname), r.relowner, a.attacl
      from relations as r join pg_attribute as a on a.attrelid = r.oid where a.attacl is not null
    union all
    select 'function', name, proowner, coalesce(proacl, acldefault('f', proowner)) from functions
    union all
    select 'type', format('%I.%I', s.name, t.typname), t.typowner, coalesce(t.typacl, acldefault('T', t.typowner))
      from pg_type as t join spaces as s on s.oid = t.typnamespace left join pg_class as c on c.oid = t.typrelid
     where (not s.of_server or t.oid >= 16384) and (t.typrelid = 0 or c.relkind = 'c')
       and not exists (select from pg_type as element where element.typarray = t.oid)
       and ('pg_type'::regclass, t.oid) not in (select * from members)
    union all
    select 'language', lanname, lanowner, coalesce(lanacl, acldefault('l', lanowner)) from pg_language where lanpltrusted
    union all
    select 'database', case when datname = current_database() then 'warehouse' else format('%I', datname) end, datdba,
           coalesce(datacl, acldefault('d', datdba))
      from pg_database where datallowconn
    union all
    select 'tablespace', spcname, spcowner, coalesce(spcacl, acldefault('t', spcowner)) from pg_tablespace
    union all
    select 'foreign data wrapper', fdwname, fdwowner, coalesce(fdwacl, acldefault('F', fdwowner)) from pg_foreign_data_wrapper
    union all
    select 'foreign server', srvname, srvowner, coalesce(srvacl, acldefault('S', srvowner)) from pg_foreign_server
    union all
    select 'large object', oid::text, lomowner, coalesce(lomacl, acldefault('L', lomowner)) from pg_largeobject_metadata
    union all
    select 'parameter', parname, 10, paracl from pg_parameter_acl
),
-- Rights on the server's own functions and relations, as far as they differ from those of a new server.
server_rights as (
    select 'function' as kind, p.oid::regprocedure::text as object, given.*
      from pg_proc as p join pg_namespace as n on n.oid = p.pronamespace
      left join pg_init_privs as i on i.objoid = p.oid and i.classoid = 'pg_proc'::regclass and i.objsubid = 0
     cross join lateral (
        (select 'given' as verb, grantee, privilege_type from aclexplode(p.proacl)
         except select 'given', grantee, privilege_type from aclexplode(coalesce(i.initprivs, acldefault('f', p.proowner))))
        union all
        (select 'taken' as verb, grantee, privilege_type from aclexplode(coalesce(i.initprivs, acldefault('f', p.proowner)))
         except select 'taken', grantee, privilege_type from aclexplode(p.proacl))) as given
     where n.nspname in ('pg_catalog', 'information_schema') and p.oid < 16384 and p.proacl is not null
    union all
    select 'relation', format('%I.%I', n.nspname, c.relname), given.*
      from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
      left join pg_init_privs as i on i.objoid = c.oid and i.classoid = 'pg_class'::regclass and i.objsubid = 0
     cross join lateral (
        (select 'given' as verb, grantee, privilege_type from aclexplode(c.relacl)
         except select 'given', grantee, privilege_type from aclexplode(coalesce(i.initprivs, acldefault('r', c.relowner))))
        union all
        (select 'taken' as verb, grantee, privilege_type from aclexplode(coalesce(i.initprivs, acldefault('r', c.relowner)))
         except select 'taken', grantee, privilege_type from aclexplode(c.relacl))) as given
     where n.nspname in ('pg_catalog', 'information_schema') and c.oid < 16384 and c.relacl is not null
       and c.relkind in ('r', 'v')
       and not (n.nspname = 'information_schema' and given.grantee = 0 and given.privilege_type = 'SELECT')
    union all
    select 'column', format('%I.%I.%I', n.nspname, c.relname, a.attname), given.*
      from pg_attribute as a join pg_class as c on c.oid = a.attrelid join pg_namespace as n on n.oid = c.relnamespace
      left join pg_init_privs as i on i.objoid = c.oid and i.classoid = 'pg_class'::regclass and i.objsubid = a.attnum
     cross join lateral (
        select 'given' as verb, grantee, privilege_type from aclexplode(a.attacl)
        except select 'given', grantee, privilege_type from aclexplode(i.initprivs)) as given
     where n.nspname in ('pg_catalog', 'information_schema') and c.oid < 16384 and a.attacl is not null
),
facts (kind, object, aspect, value) as (
    select 'rights on ' || a.kind, a.object, g.name,
           string_agg(e.privilege_type || case when e.is_grantable then ' with grant option' else '' end, ', '
                      order by e.privilege_type)
      from acls as a cross join lateral aclexplode(a.acl) as e join names as g on g.oid = e.grantee
     where e.grantee <> a.owner and g.name <> 'administrator'
     group by 1, 2, 3
    union all
    select 'server ' || s.kind, s.object, g.name, string_agg(s.verb || ' ' || s.privilege_type, ', ' order by s.verb, s.privilege_type)
      from server_rights as s join names as g on g.oid = s.grantee
     where g.name <> 'administrator'
     group by 1, 2, 3
    union all
    select 'owner of ' || a.kind, a.object, '', n.name
      from acls as a join names as n on n.oid = a.owner
     where a.kind not in ('column', 'parameter', 'language', 'tablespace')
       and not (a.kind = 'large object' and n.name = 'administrator')
    union all
    select 'table', name, 'kind',
           case relkind when 'r' then 'table' when 'p' then 'partitioned table' when 'v' then 'view'
                        when 'm' then 'materialised view' when 'f' then 'foreign table' end
           || case when relispartition then ', partition' else '' end
           || case when relpersistence = 'u' then ', unlogged' else '' end
           || case when exists (select from pg_attribute as a where a.attrelid = relations.oid and a.attname = 'tenant_id'
                                   and not a.attisdropped) then ', of tenants' else '' end
      from relations where relkind <> 'S'
    union all
    select 'table', name, 'row-level security',
           case when relrowsecurity and relforcerowsecurity then 'enabled and forced' when relrowsecurity then 'enabled, not forced'
                when relforcerowsecurity then 'forced, not enabled' else 'off' end
      from relations where relkind in ('r', 'p')
    union all
    select 'table', name, 'view', coalesce(array_to_string(reloptions, ', '), '') || ' ' || md5(pg_get_viewdef(oid))
      from relations where relkind in ('v', 'm')
    union all
    select 'table', r.name, 'inherits from', string_agg(i.inhparent::regclass::text, ', ' order by i.inhseqno)
      from relations as r join pg_inherits as i on i.inhrelid = r.oid where not r.relispartition and r.relkind <> 'S' group by 1, 2
    union all
    select 'policy', r.name, p.polname,
           case when p.polpermissive then 'permissive' else 'restrictive' end
           || case p.polcmd when '*' then ' for all' when 'r' then ' for select' when 'a' then ' for insert'
                            when 'w' then ' for update' else ' for delete' end
           || ' to ' || (select string_agg(n.name, ', ' order by n.name) from unnest(p.polroles) as one join names as n on n.oid = one)
           || coalesce(' using (' || regexp_replace(pg_get_expr(p.polqual, p.polrelid), '\s+', ' ', 'g') || ')', '')
           || coalesce(' with check (' || regexp_replace(pg_get_expr(p.polwithcheck, p.polrelid), '\s+', ' ', 'g') || ')', '')
      from pg_policy as p join relations as r on r.oid = p.polrelid
    union all
    select 'rule', r.name, w.rulename, regexp_replace(pg_get_ruledef(w.oid), '\s+', ' ', 'g')
      from pg_rewrite as w join relations as r on r.oid = w.ev_class where w.rulename <> '_RETURN'
    union all
    select 'trigger', r.name, t.tgname,
           case t.tgenabled when 'A' then 'always' when 'O' then 'not for replicas' when 'R' then 'for replicas only'
                            else 'disabled' end || ': ' || regexp_replace(pg_get_triggerdef(t.oid), '\s+', ' ', 'g')
      from pg_trigger as t join relations as r on r.oid = t.tgrelid where not t.tgisinternal
    union all
    select distinct 'trigger', r.name, 'foreign keys', 'disabled'
      from pg_trigger as t join relations as r on r.oid = t.tgrelid where t.tgisinternal and t.tgenabled <> 'O'
    union all
    select 'function', f.name, aspect, value
      from functions as f join pg_language as l on l.oid = f.prolang
     cross join lateral (values
        ('runs as', case when f.prosecdef then 'its owner' else 'its caller' end),
        ('settings', coalesce(array_to_string(f.proconfig, '; '), 'none')),
        ('body', l.lanname || ' ' || md5(coalesce(f.prosrc, '') || coalesce(pg_get_function_sqlbody(f.oid), ''))),
        ('planned as', concat_ws(' ', case f.provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end,
                                  case when f.proisstrict then 'strict' end, 'parallel ' || f.proparallel::text,
                                  'default ' || pg_get_expr(f.proargdefaults, 0))),
        ('leakproof', case when f.proleakproof then 'yes' else 'no' end)) as v (aspect, value)
    union all
    -- Constraints keep rows of two tenants apart, since foreign keys and unique keys look past row-level security.
    select 'constraint', r.name, c.conname,
           regexp_replace(pg_get_constraintdef(c.oid), '\s+', ' ', 'g')
      from pg_constraint as c join relations as r on r.oid = c.conrelid join names as n on n.oid = r.relowner
     where c.contype <> 'n' and n.name = 'valueverse_owner'
    union all
    select 'unique index', r.name, i.indexrelid::regclass::text,
           regexp_replace(pg_get_indexdef(i.indexrelid), '\s+', ' ', 'g') || case when i.indisvalid then '' else ' (not valid)' end
      from pg_index as i join relations as r on r.oid = i.indrelid join names as n on n.oid = r.relowner
     where i.indisunique and n.name = 'valueverse_owner'
       and not exists (select from pg_constraint as c where c.conindid = i.indexrelid and c.conrelid = r.oid)
    union all
    select 'column', r.name, a.attname,
           case when a.attnotnull then 'not null' else 'null' end || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')
      from pg_attribute as a join relations as r on r.oid = a.attrelid join names as n on n.oid = r.relowner
      left join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
     where a.attname = 'tenant_id' and r.relkind in ('r', 'p') and n.name = 'valueverse_owner'
    union all
    select 'operator', o.oid::regoperator::text, '', o.oprcode::text from pg_operator as o
     where o.oid >= 16384 and ('pg_operator'::regclass, o.oid) not in (select * from members)
    union all
    select 'cast', c.castsource::regtype::text, c.casttarget::regtype::text, c.castcontext::text || ' ' || c.castmethod::text from pg_cast as c
     where c.oid >= 16384 and ('pg_cast'::regclass, c.oid) not in (select * from members)
    union all
    select 'operator class', format('%I.%I', s.name, o.opcname), '', o.opcintype::regtype::text
      from pg_opclass as o join spaces as s on s.oid = o.opcnamespace
     where o.oid >= 16384 and ('pg_opclass'::regclass, o.oid) not in (select * from members)
    union all
    select 'default rights', o.name || coalesce(' in ' || s.name, ''),
           case d.defaclobjtype when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions' when 'T' then 'types'
                                when 'n' then 'schemas' else 'large objects' end,
           (select string_agg(g.name || ' ' || e.privilege_type || case when e.is_grantable then ' with grant option' else '' end,
                              ', ' order by g.name, e.privilege_type)
              from aclexplode(d.defaclacl) as e join names as g on g.oid = e.grantee)
      from pg_default_acl as d join names as o on o.oid = d.defaclrole left join spaces as s on s.oid = d.defaclnamespace
    union all
    select 'role', n.name, 'attributes',
           concat_ws(' ', case when r.rolcanlogin then 'login' else 'nologin' end, case when r.rolsuper then 'superuser' end,
                     case when r.rolbypassrls then 'bypassrls' end, case when r.rolcreaterole then 'createrole' end,
                     case when r.rolcreatedb then 'createdb' end, case when r.rolreplication then 'replication' end,
                     case when not r.rolinherit then 'noinherit' end, 'connections ' || r.rolconnlimit)
      from pg_roles as r join names as n on n.oid = r.oid where n.of_ours or n.of_analysts
    union all
    select 'setting', case when n.name is null and s.setdatabase <> 0 then 'warehouse'
                           else coalesce(n.name, 'everybody') || case when s.setdatabase <> 0 then ' in warehouse' else '' end end,
           split_part(one, '=', 1), substring(one from '=(.*)$')
      from pg_db_role_setting as s left join names as n on n.oid = s.setrole and s.setrole <> 0
     cross join lateral unnest(s.setconfig) as one
     where (n.of_ours or n.of_analysts or s.setrole = 0)
       and (s.setdatabase = 0 or s.setdatabase = (select oid from pg_database where datname = current_database()))
    union all
    select 'setting', 'server', name, reset_val from pg_settings
     where (name, reset_val) in (values ('session_replication_role', 'replica'), ('session_replication_role', 'local'),
                                        ('event_triggers', 'off'), ('lo_compat_privileges', 'on'), ('allow_system_table_mods', 'on'))
    union all
    select 'membership', member.rolname, held.rolname,
           concat_ws(', ', case when m.admin_option then 'admin' end,
                     case when coalesce((to_jsonb(m) ->> 'inherit_option')::boolean, true) then 'inherit' end,
                     case when coalesce((to_jsonb(m) ->> 'set_option')::boolean, true) then 'set' end)
      from pg_auth_members as m join names as member on member.oid = m.member join names as held on held.oid = m.roleid
     where (member.of_ours or member.of_analysts or held.of_ours or held.of_analysts
            -- Whoever made the administrator holds it by the option to grant it alone.
            or (held.name = 'administrator' and coalesce((to_jsonb(m) ->> 'inherit_option')::boolean
                                                         or (to_jsonb(m) ->> 'set_option')::boolean, true)))
       and member.name <> 'administrator'
    union all
    select 'event trigger', evtname, '', case evtenabled when 'D' then 'disabled' when 'R' then 'for replicas only' else 'enabled' end
           || ' ' || evtevent || ' ' || evtfoid::regproc || coalesce(' when ' || array_to_string(evttags, ', '), '')
      from pg_event_trigger
    union all
    select 'extension', extname, '', 'installed' from pg_extension where extname not in ('plpgsql', 'pg_stat_statements')
    union all
    select 'language', lanname, '', 'not trusted' from pg_language
     where not lanpltrusted and lanname not in ('internal', 'c')
    union all
    select 'publication', pubname, '', 'sends rows to other servers' from pg_publication
    union all
    select 'subscription', subname, '', 'writes rows of another server' from pg_subscription
     where subdbid = (select oid from pg_database where datname = current_database())
    union all
    select 'foreign server', srvname, '', coalesce(array_to_string(srvoptions, ', '), '') from pg_foreign_server
),
harmless as (
    -- A default that a person may set for a session is no right. Bounds are in the manifest.
    select name from pg_settings
     where context = 'user' and name not in ('session_replication_role', 'statement_timeout', 'transaction_timeout',
                                             'idle_in_transaction_session_timeout', 'temp_file_limit')
       and name not like '%.%'
),
superusers as (
    -- A login sets the others for itself, also those that pg_settings does not list, such as role.
    select name from pg_settings where context in ('superuser', 'superuser-backend')
)
select jsonb_build_object(
    'superuser', coalesce((select rolsuper from migrated), false),
    'database', format('%I', current_database()),
    'harmless_settings', (select jsonb_agg(name) from harmless),
    'superusers_settings', (select jsonb_agg(name) from superusers),
    'facts', (select jsonb_agg(jsonb_build_array(kind, object, aspect, value) order by kind, object, aspect, value) from facts)
)::text
