{#
    Minor units (cents) as a number in major units, with the currency's own decimals: 7881 and 2 give 78.81.
    round() fixes the scale, so that text output shows 78.80 and not 78.8.
#}
{% macro minor_to_major(amount_minor, minor_units) -%}
    round({{ amount_minor }} / power(10::numeric, {{ minor_units }}), {{ minor_units }})
{%- endmacro %}
