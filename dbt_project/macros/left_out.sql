{#
    Tenants that a run leaves out (var `left_out`), because a model or a test fails for their rows. Staging models do not read
    them, so no expression of a later model meets their rows; marts neither write nor delete them; tests do not count them.
    The setting lasts for one transaction: select, delete and insert of a mart leave out the same tenants.
#}
{% macro set_left_out() -%}
    select set_config('valueverse.left_out', '{{ tojson(left_out_as_object()) }}', true);
{%- endmacro %}

{# SQL condition: the row's tenant is not left out. #}
{% macro is_read(tenant='tenant_id') -%}
    not (select cast(coalesce(nullif(current_setting('valueverse.left_out', true), ''), '{}') as jsonb)) ? {{ tenant }}
{%- endmacro %}

{% macro left_out_as_object() -%}
    {%- set found = {} -%}
    {%- for tenant in tenant_keys('left_out') %}{% do found.update({tenant: 1}) %}{% endfor -%}
    {{ return(found) }}
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
