{#
    The grain of a view: no two rows share these columns (nulls are equal), and none is null but `nullable` ones.
    A mart's primary key holds its own.
#}
{% test grain(model, columns, nullable=[]) %}
select {{ columns | join(', ') }}, count(*) as rows_of_this_grain
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1{% for column in columns if column not in nullable %} or {{ column }} is null{% endfor %}
{% endtest %}
