"""The independent recomputation in SQL: what events, fees and corrections come to, worked out again."""
