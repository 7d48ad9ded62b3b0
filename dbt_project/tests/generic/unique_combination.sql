{# The grain of a table: no two rows share these columns. Nulls count as equal. #}
{% test unique_combination(model, columns) %}
select {{ columns | join(', ') }}, count(*) as rows_of_this_grain
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}
