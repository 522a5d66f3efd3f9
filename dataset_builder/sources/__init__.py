"""One file per data source: pure functions from raw rows to Examples, and its TASKS."""
