"""What can be asked of a language model, wherever it runs."""
