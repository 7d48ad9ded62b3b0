{#
    dbt-postgres cannot declare partitions. Tables of the tenant_slice strategy are HASH-partitioned on tenant_id, so that
    a tenant's rows lie together and row-level security prunes; all other tables are created as dbt-postgres does.
#}
{% macro postgres__create_table_as(temporary, relation, sql) -%}
    {%- if config.get('incremental_strategy') != 'tenant_slice' -%}
        {{ dbt.postgres__create_table_as(temporary, relation, sql) }}
    {%- elif temporary -%}
        {{ get_assert_columns_equivalent(sql) }}
        create temporary table {{ relation }} as
        {{ select_slices(sql) }};
        analyze {{ relation }};
    {%- else -%}
        {{ create_partitioned_table(relation, sql) }}
    {%- endif -%}
{%- endmacro %}

{# Columns in the contract's order and types: equal rows must compare as equal to what a table column holds. #}
{% macro select_slices(sql) -%}
    select
        {%- for column in model.columns.values() %}
        cast(model_rows.{{ column.name }} as {{ column.data_type }}) as {{ column.name }}{{ ',' if not loop.last }}
        {%- endfor %}
    from (
        {{ sql }}
    ) as model_rows
    where {{ in_slice('model_rows') }}
{%- endmacro %}

{#
    `if not exists` and the delete let a second run, which planned before the first one had created the table, end well.
    A full refresh builds a new table beside the old one and takes over the rows of slices it was not asked to publish
    (held tenants among them), so it never loses a last good version.
#}
{% macro create_partitioned_table(relation, sql) -%}
    {{ get_assert_columns_equivalent(sql) }}
    {%- set names = model.columns.values() | map(attribute='name') | list %}
    create table if not exists {{ relation }}
    {{ get_table_columns_and_constraints() }}
    partition by hash (tenant_id);
    {% for remainder in range(var('hash_partitions')) %}
    create table if not exists {{ partition_of(relation, remainder) }}
    partition of {{ relation }} for values with (modulus {{ var('hash_partitions') }}, remainder {{ remainder }});
    {% endfor %}
    delete from {{ relation }} as published where {{ in_slice('published') }};
    insert into {{ relation }} ({{ names | join(', ') }})
    {{ select_slices(sql) }};
    {%- if relation.identifier != this.identifier %}
        {%- set common = adapter.get_columns_in_relation(this) | map(attribute='name') | select('in', names) | list %}
    insert into {{ relation }} ({{ common | join(', ') }})
    select {{ common | join(', ') }} from {{ this }} as published
    where not {{ in_slice('published') }};
    {%- endif %}
    analyze {{ relation }};
{%- endmacro %}

{#
    The rebuilt table keeps its partitions' names when it takes over its own name, and the old ones still exist then.
    They lie in a schema that analysts cannot use, so that a list of tables shows them marts (decision 1440).
#}
{% macro partition_of(relation, remainder) -%}
    {%- set generation = '' if relation.identifier == this.identifier else invocation_id[:8] ~ '_' -%}
    {{ relation.incorporate(path={
        'schema': this.schema ~ '_partitions',
        'identifier': this.identifier ~ '__' ~ generation ~ 'p' ~ '%02d' % remainder,
    }) }}
{%- endmacro %}
