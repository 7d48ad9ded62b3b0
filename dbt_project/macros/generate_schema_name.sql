{# The schemas exist by migration, with their rights: no prefix of a developer's target goes in front. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ target.schema if custom_schema_name is none else custom_schema_name | trim }}
{%- endmacro %}
