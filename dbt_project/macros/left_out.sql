{#
    Tenants that a run leaves out (the set in billing.marts_left_out that var `left_out` names), because a model or a test fails for their rows. Staging models do not read
    them, so no expression of a later model meets their rows; marts neither write nor delete them; tests do not count them.
    The setting lasts for one transaction: select, delete and insert of a mart leave out the same tenants.
#}
{% macro set_left_out() -%}
    select set_config(
        'valueverse.left_out',
        coalesce(
            (select jsonb_object_agg(tenant_id, 1)::text from billing.marts_left_out where set_name = '{{ left_out_set() }}'),
            '{}'
        ),
        true
    );
{%- endmacro %}

{# SQL condition: the row's tenant is not left out. #}
{% macro is_read(tenant='tenant_id') -%}
    not (select cast(coalesce(nullif(current_setting('valueverse.left_out', true), ''), '{}') as jsonb)) ? {{ tenant }}
{%- endmacro %}

{# The name of the set, checked: it is written into SQL. #}
{% macro left_out_set() -%}
    {%- if not modules.re.fullmatch('[0-9A-Za-z:_-]{0,100}', var('left_out') | string) -%}
        {{ exceptions.raise_compiler_error("vars.left_out: '" ~ var('left_out') ~ "' is not the name of a set in billing.marts_left_out") }}
    {%- endif -%}
    {{ return(var('left_out')) }}
{%- endmacro %}

{# The keys in a var, each checked: they are written into SQL. #}
{% macro tenant_keys(name) -%}
    {%- for tenant in var(name) if not modules.re.fullmatch('[a-z0-9][a-z0-9_.-]{0,62}', tenant | string) -%}
        {{ exceptions.raise_compiler_error("vars." ~ name ~ ": '" ~ tenant ~ "' is not a tenant key ([a-z0-9][a-z0-9_.-]{0,62})") }}
    {%- endfor -%}
    {{ return(var(name)) }}
{%- endmacro %}

{# Rows that fail a test carry their tenant where the model has one: that is who is left out of the next attempt. #}
{% macro postgres__get_test_sql(main_sql, fail_calc, warn_if, error_if, limit) -%}
    {{ set_left_out() }}
    select
        {{ fail_calc }} as failures,
        {{ fail_calc }} {{ warn_if }} as should_warn,
        {{ fail_calc }} {{ error_if }} as should_error
    from (
        select failing.* from (
            {{ main_sql }}
        ) as failing
        where {{ is_read("coalesce(to_jsonb(failing) ->> 'tenant_id', '')") }}
        {{ "limit " ~ limit if limit is not none }}
    ) as dbt_internal_test
{%- endmacro %}
