"""A service that decides: typed questions in, the probability of every allowed answer out."""
