"""Decisions: questions about a state, and the probability of every allowed answer."""
