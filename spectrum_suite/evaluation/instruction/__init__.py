"""Instruction following: how a model ranks responses, and what its own are like."""
