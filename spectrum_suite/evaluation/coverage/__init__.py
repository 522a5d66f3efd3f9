"""Coverage of valid outputs: what a model generates, many times over, where many answers are right."""
