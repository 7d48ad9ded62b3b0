{#
    Views, replaced in place. Two reasons not to use dbt's own materialization: a view without security_invoker reads with
    its owner's rights and so past row-level security, and the rename dance of two runs at a time collides.
#}
{% materialization view, adapter='postgres' %}
    {%- set existing_relation = load_cached_relation(this) -%}
    {%- set target_relation = this.incorporate(type='view') -%}
    {%- set grant_config = config.get('grants') -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {% call statement('lock') %}{{ lock_relation(this) }}{% endcall %}
    {% if existing_relation is not none and not existing_relation.is_view %}
        {{ adapter.drop_relation(existing_relation) }}
    {% endif %}

    {% call statement('main') %}
        {{ get_create_view_as_sql(target_relation, sql) }}
    {% endcall %}

    {% do apply_grants(target_relation, grant_config, should_revoke=should_revoke(existing_relation, true)) %}
    {% do persist_docs(target_relation, model) %}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}

    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{# invalid_table_definition is what Postgres says when a column of a view went, moved or changed its type. #}
{% macro postgres__create_view_as(relation, sql) -%}
    {%- if config.get('contract').enforced -%}
        {{ get_assert_columns_equivalent(sql) }}
    {%- endif %}
    do $view$
    begin
        create or replace view {{ relation }} with (security_invoker = true) as ({{ sql }});
    exception when invalid_table_definition then
        drop view {{ relation }} cascade;
        create view {{ relation }} with (security_invoker = true) as ({{ sql }});
    end
    $view$;
{%- endmacro %}
