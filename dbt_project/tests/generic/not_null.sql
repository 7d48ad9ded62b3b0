{# As dbt's own, with the whole row: whose it is decides who is held. #}
{% test not_null(model, column_name) %}
select * from {{ model }}
where {{ column_name }} is null
{% endtest %}
