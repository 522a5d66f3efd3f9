"""From rows of the suite to a tuned model."""
