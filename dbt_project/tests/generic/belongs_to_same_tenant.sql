{# A foreign key that starts with tenant_id: every row points to a row of its own tenant. #}
{% test belongs_to_same_tenant(model, to, columns) %}
select child.tenant_id, {% for column in columns %}child.{{ column }}{{ ', ' if not loop.last }}{% endfor %}
from {{ model }} as child
left join {{ to }} as parent
    on child.tenant_id = parent.tenant_id
    {% for column in columns %} and child.{{ column }} = parent.{{ column }}{% endfor %}
where parent.tenant_id is null
    {% for column in columns %} and child.{{ column }} is not null{% endfor %}
{% endtest %}
