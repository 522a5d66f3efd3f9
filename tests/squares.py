"""Tensors whose size is the square of a length, which a mask is that is spelled out, and attention without a kernel."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Squares(TorchDispatchMode):
    """Within, it is noted in ``made`` which operations make tensors whose last two dimensions are both ``length``."""

    def __init__(self, length):
        super().__init__()
        self.length, self.made = length, []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        shapes = [tuple(each.shape) for each in tree_leaves(made) if isinstance(each, torch.Tensor)]
        self.made += [(str(func), shape) for shape in shapes if shape[-2:] == (self.length, self.length)]
        return made
