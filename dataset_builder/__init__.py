"""The suite, a local tool: raw upstream data in, Parquet and a card out. Nothing here tokenizes."""
