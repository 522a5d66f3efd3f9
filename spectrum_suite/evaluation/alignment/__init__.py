"""Distributional alignment: how far a model's distribution over declared options lies from the true one."""
