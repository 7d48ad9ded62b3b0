{# As dbt's own for texts, with whole rows: whose they are decides who is held. #}
{% test accepted_values(model, column_name, values) %}
select * from {{ model }}
where {{ column_name }} not in ('{{ values | join("', '") }}')
{% endtest %}
