"""Exact log-probabilities of options, and samples."""
