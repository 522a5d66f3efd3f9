"""Tasks that are written as YAML files: a table, and how its rows become processes."""
