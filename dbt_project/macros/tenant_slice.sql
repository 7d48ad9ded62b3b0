{#
    The tenant_slice strategy: publish slices of (tenant, month).

    - Which slices: the vars `tenants`, `periods_from`, `periods_to`, cut down to what the quality gate released.
      Never the keys found in the new rows: a slice that vanished at the source has to vanish here too.
    - A tenant in the set that var `left_out` names is not read at all (left_out.sql), and its rows stay.
    - A held tenant is left out of the select, the delete and the insert: its last good version stays.
    - Only rows that changed are deleted and inserted.

    A mart says in its config:
      slice_month   the date column that holds the month of a row; none = a slice is a whole tenant
      unique_key    the grain, tenant_id first
      release_gate  false = published whatever the gate decided (operations marts, which explain why a tenant is held)
#}

{# Pre-hook, first statement of the transaction. The slices are fixed once, after the lock: the gate may decide again
   between our select and our delete, and both have to mean the same tenants. #}
{% macro take_slices() -%}
    {%- set released_slices = ref('int_released_slices') -%}  {# outside the condition: dbt reads the edge while parsing #}
    {{ lock_relation(this) }}
    {{ set_left_out() }}
    {%- if config.get('release_gate', true) %}
    drop table if exists pg_temp.{{ slices_table() }};
    create temporary table {{ slices_table() }} on commit drop as
    select distinct tenant_id{{ ', slice_month' if config.get('slice_month') }}
    from {{ released_slices }}
    where {{ requested_slices('slice_month' if config.get('slice_month') else none) }}
        {{ 'and is_latest' if not config.get('slice_month') }};
    analyze {{ slices_table() }};
    {%- endif %}
{%- endmacro %}

{% macro lock_relation(relation) -%}
    select pg_advisory_xact_lock(hashtextextended('{{ relation.schema }}.{{ relation.identifier }}', 0));
{%- endmacro %}

{% macro slices_table() -%}
    {{ this.identifier }}__slices
{%- endmacro %}

{# SQL condition: the row lies in a slice of this run. #}
{% macro in_slice(alias) -%}
    {%- set slice_month = config.get('slice_month') -%}
    {%- if config.get('release_gate', true) -%}
    exists (
        select 1 from {{ slices_table() }} as slices
        where slices.tenant_id = {{ alias }}.tenant_id
        {%- if slice_month %} and slices.slice_month = {{ alias }}.{{ slice_month }}{% endif %}
    )
    {%- else -%}
    {{ requested_slices(slice_month, alias ~ '.') }} and {{ is_read(alias ~ '.tenant_id') }}
    {%- endif -%}
{%- endmacro %}

{# SQL condition: what the vars ask for. #}
{% macro requested_slices(slice_month, prefix='') -%}
    {%- set conditions = [] -%}
    {%- if var('tenants') -%}
        {%- do conditions.append(prefix ~ "tenant_id = any('{" ~ tenant_keys('tenants') | join(',') ~ "}'::text[])") -%}
    {%- endif -%}
    {%- if slice_month -%}
        {%- for name, comparison in [('periods_from', '>='), ('periods_to', '<=')] if var(name) -%}
            {%- do conditions.append(prefix ~ slice_month ~ " " ~ comparison ~ " date '" ~ month_of_var(name) ~ "'") -%}
        {%- endfor -%}
    {%- endif -%}
    {{ conditions | join(' and ') if conditions else 'true' }}
{%- endmacro %}

{% macro month_of_var(name) -%}
    {%- set text = var(name) | string -%}
    {%- if not modules.re.fullmatch('[0-9]{4}-(0[1-9]|1[0-2])(-01)?', text) -%}
        {{ exceptions.raise_compiler_error("vars." ~ name ~ ": '" ~ text ~ "' is not a month; write it as '2023-11'") }}
    {%- endif -%}
    {{ text[:7] }}-01
{%- endmacro %}

{% macro get_incremental_tenant_slice_sql(arg_dict) %}
    {%- set published = arg_dict['target_relation'] -%}
    {%- set fresh = arg_dict['temp_relation'] -%}
    {%- set key = config.require('unique_key') -%}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='quoted') | list -%}

    delete from {{ published }} as published
    where {{ in_slice('published') }}
        and not exists (
            select 1 from {{ fresh }} as fresh
            where {% for column in key %}fresh.{{ column }} = published.{{ column }} and {% endfor %}
                row(fresh.{{ columns | join(', fresh.') }})
                is not distinct from row(published.{{ columns | join(', published.') }})
        );

    insert into {{ published }} ({{ columns | join(', ') }})
    select {{ columns | join(', ') }}
    from {{ fresh }} as fresh
    where not exists (
        select 1 from {{ published }} as published
        where {% for column in key %}published.{{ column }} = fresh.{{ column }}{{ ' and ' if not loop.last }}{% endfor %}
    );
{% endmacro %}
