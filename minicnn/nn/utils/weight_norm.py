"""Weight normalisation as a hook: the former way, which ``parametrizations.weight_norm`` replaces."""

from __future__ import annotations

import warnings
from typing import Any, TypeVar

from minicnn.autograd import Tensor
from minicnn.nn.module import Module
from minicnn.nn.parameter import Parameter

AnyModule = TypeVar("AnyModule", bound=Module)


def norm_except_dim(weight: Tensor, dim: int) -> Tensor:
    """The Euclidean norm of each slice along ``dim``, with sizes of 1 elsewhere; of everything, 0-d, if ``dim`` is -1."""
    if dim == -1:
        return (weight * weight).sum().sqrt()
    return (weight * weight).sum(dim=tuple(i for i in range(weight.ndim) if i != dim), keepdim=True).sqrt()


def normalized(v: Tensor, g: Tensor, dim: int) -> Tensor:
    """``g * v / |v|``, see :func:`norm_except_dim`."""
    return v * (g / norm_except_dim(v, dim))


class WeightNorm:
    """The hook: computes the weight from ``<name>_g`` and ``<name>_v`` before each forward."""

    def __init__(self, name: str, dim: int | None) -> None:
        self.name = name
        self.dim = -1 if dim is None else dim

    def compute_weight(self, module: Module) -> Tensor:
        """The weight of the present direction and length."""
        return normalized(getattr(module, f"{self.name}_v"), getattr(module, f"{self.name}_g"), self.dim)

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module))


def weight_norm(module: AnyModule, name: str = "weight", dim: int | None = 0) -> AnyModule:
    """Train a weight's length and direction apart: ``weight = g * v / |v|`` (Salimans & Kingma 2016).

    https://arxiv.org/abs/1602.07868. The parameters ``<name>_g`` and ``<name>_v`` take the place of ``<name>``, which a
    hook computes before each forward. Returns ``module``. Deprecated in torch for ``parametrizations.weight_norm``.

    Parameters
    ----------
    module : a layer.
    name : the parameter's name.
    dim : along which slices have lengths of their own; 0 is one for each output, None one for all.

    Raises
    ------
    RuntimeError : the parameter has it already.
    """
    warnings.warn(
        "`nn.utils.weight_norm` is deprecated in favor of `nn.utils.parametrizations.weight_norm`.",
        FutureWarning,
        stacklevel=2,
    )
    refuse_second(module, WeightNorm, "weight_norm", name)
    hook = WeightNorm(name, dim)
    weight = getattr(module, name)
    del module._parameters[name]
    module.register_parameter(f"{name}_g", Parameter(norm_except_dim(weight.detach(), hook.dim)))
    module.register_parameter(f"{name}_v", Parameter(weight.detach()))
    setattr(module, name, hook.compute_weight(module))
    module.register_forward_pre_hook(hook)
    return module


def remove_weight_norm(module: AnyModule, name: str = "weight") -> AnyModule:
    """Make ``<name>`` a parameter again, with its present values. Returns ``module``.

    Raises
    ------
    ValueError : it has no weight norm.
    """
    hook = take_out(module, WeightNorm, "weight_norm", name)
    weight = hook.compute_weight(module).detach()
    delattr(module, name)
    del module._parameters[f"{name}_g"]
    del module._parameters[f"{name}_v"]
    setattr(module, name, Parameter(weight))
    return module


def refuse_second(module: Module, kind: type, what: str, name: str) -> None:
    """Raise if a hook of this kind is there for this parameter."""
    if any(isinstance(hook, kind) and hook.name == name for hook, _ in module._forward_pre_hooks.values()):  # type: ignore[attr-defined]
        raise RuntimeError(f"Cannot register two {what} hooks on the same parameter {name}")


def take_out(module: Module, kind: type, what: str, name: str) -> Any:
    """Remove this parameter's hook of this kind, and return it."""
    for key, (hook, _) in module._forward_pre_hooks.items():
        if isinstance(hook, kind) and hook.name == name:  # type: ignore[attr-defined]
            del module._forward_pre_hooks[key]
            return hook
    raise ValueError(f"{what} of '{name}' not found in {module}")
