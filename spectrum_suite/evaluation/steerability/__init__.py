"""In-context steerability: how likely outputs are, given the description and the outputs before them."""
