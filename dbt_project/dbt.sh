#!/bin/sh
# dbt as Dagster starts it: with the project already parsed (pipelines/dbt_program.py).
exec "${VALUEVERSE_DBT_PYTHON:-python3}" -m pipelines.dbt_program "$@"
