"""Distributional alignment: how far a model's distribution over declared options is from the true one."""
