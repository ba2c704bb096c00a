"""The MLPs of CLIP's layers, with their activation in one pass over the widest of all arrays instead of three."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import Linear, Module
from torch.nn.functional import silu
from transformers.activations import QuickGELUActivation
from transformers.models.clip.modeling_clip import CLIPMLP

_FACTOR = 1.702


class QuickMLP(Module):
    """Two linear layers with a quick GELU between them: parameters and values of the MLP that it stands for.

    A quick GELU, x * sigmoid(1.702 x), is silu(1.702 x) / 1.702. The two factors cost nothing in the products before
    and after, and what is left works in place. Values differ by rounding. With gradient, or with hooks on a part, the
    parts are called one after the other.

    Args:
        mlp: With ``fc1``, ``activation_fn`` and ``fc2``, for which :func:`is_quick`.
    """

    def __init__(self, mlp: Any) -> None:
        super().__init__()
        self.fc1, self.activation_fn, self.fc2 = mlp.fc1, mlp.activation_fn, mlp.fc2
        self.train(mlp.training)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return the outcome, of the shape of ``hidden``: ``(..., width)``."""
        if torch.is_grad_enabled() or not is_quick(self):
            found: Tensor = self.fc2(self.activation_fn(self.fc1(hidden)))
            return found
        inner = self._inner(hidden.reshape(-1, hidden.shape[-1]))
        made = torch.addmm(self.fc2.bias, inner, self.fc2.weight.T, alpha=1 / _FACTOR)
        return made.view(*hidden.shape[:-1], made.shape[-1])

    def add_to(self, total: Tensor, hidden: Tensor) -> Tensor:
        """Return ``total + self(hidden)``, in the place of ``total`` where that can be; both of shape (rows, width)."""
        if torch.is_grad_enabled() or not is_quick(self):
            found: Tensor = total + self(hidden)
            return found
        total.addmm_(self._inner(hidden), self.fc2.weight.T, alpha=1 / _FACTOR).add_(self.fc2.bias)
        return total

    def _inner(self, hidden: Tensor) -> Tensor:
        """Return ``_FACTOR`` times what the activation gives the second layer."""
        inner = torch.addmm(_FACTOR * self.fc1.bias, hidden, self.fc1.weight.T, alpha=_FACTOR)
        return silu(inner, inplace=True)


def is_quick(mlp: Any) -> bool:
    """Say whether an MLP is two linear layers with a bias and a quick GELU between them, and nobody watches a part."""
    first, between, second = (getattr(mlp, name, None) for name in ("fc1", "activation_fn", "fc2"))
    watched = getattr(between, "_forward_hooks", None) or getattr(between, "_forward_pre_hooks", None)
    return type(between) is QuickGELUActivation and not watched and is_plain(first) and is_plain(second)


def is_plain(part: Any) -> bool:
    """Say whether a part is a linear layer with a bias and no more, and nobody watches it."""
    return type(part) is Linear and part.bias is not None and not (part._forward_hooks or part._forward_pre_hooks)


def use_quick_mlps(module: Module) -> None:
    """Put a :class:`QuickMLP` in the place of every MLP of a model for which :func:`is_quick`."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is CLIPMLP and is_quick(child):
                setattr(parent, name, QuickMLP(child))
