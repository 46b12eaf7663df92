"""Spectral normalisation as a hook; ``parametrizations.spectral_norm`` is the newer way."""

from __future__ import annotations

from typing import Any, TypeVar

from minicnn.autograd import Tensor, no_grad
from minicnn.nn.conv_transpose import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from minicnn.nn.module import Module
from minicnn.nn.parameter import Parameter
from minicnn.nn.utils.weight_norm import refuse_second, take_out
from minicnn.ops import matmul, randn

AnyModule = TypeVar("AnyModule", bound=Module)


def as_matrix(weight: Tensor, dim: int) -> Tensor:
    """(*) -> (size of ``dim``, everything else)."""
    if dim != 0:
        weight = weight.permute(dim, *[i for i in range(weight.ndim) if i != dim])
    return weight.reshape(weight.shape[0], -1)


def unit(x: Tensor, eps: float) -> Tensor:
    """``x / max(|x|, eps)``."""
    return x / (x * x).sum().sqrt().clamp(min=eps)


def output_dim(module: Module) -> int:
    """The dimension of a layer's weight that its outputs are in."""
    return 1 if isinstance(module, (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)) else 0


class SpectralNorm:
    """The hook: computes the weight from ``<name>_orig`` before each forward, in training after a power iteration."""

    def __init__(self, name: str, n_power_iterations: int, dim: int, eps: float) -> None:
        if n_power_iterations <= 0:
            raise ValueError(
                f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}"
            )
        self.name = name
        self.n_power_iterations = n_power_iterations
        self.dim = dim
        self.eps = eps

    def compute_weight(self, module: Module, do_power_iteration: bool) -> Tensor:
        """``weight / sigma``, sigma = u . (W v) with the present u and v; an iteration moves these on."""
        weight, u, v = (getattr(module, f"{self.name}_{part}") for part in ("orig", "u", "v"))
        matrix = as_matrix(weight, self.dim)
        if do_power_iteration:
            with no_grad():
                for _ in range(self.n_power_iterations):
                    v.copy_(unit(matmul(matrix.t(), u), self.eps))
                    u.copy_(unit(matmul(matrix, v), self.eps))
            u, v = u.clone(), v.clone()  # the next iteration writes into the buffers
        return weight / (u * matmul(matrix, v)).sum()

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module, do_power_iteration=module.training))


def spectral_norm(
    module: AnyModule, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> AnyModule:
    """Divide a weight, seen as a matrix, by its largest singular value sigma (Miyato et al. 2018).

    https://arxiv.org/abs/1802.05957, algorithm 1. sigma is estimated by power iteration, one more at each forward in
    training: ``v = W^T u / |W^T u|``, ``u = W v / |W v|``, ``sigma = u . W v``. The parameter ``<name>_orig`` and the
    buffers ``<name>_u`` and ``<name>_v`` take the place of ``<name>``, which a hook computes. Returns ``module``.

    Parameters
    ----------
    module : a layer.
    name : the parameter's name.
    n_power_iterations : iterations at each forward in training.
    eps : the smallest norm to divide by.
    dim : the dimension of the outputs: 0, or 1 for transposed convolutions, by default.

    Raises
    ------
    RuntimeError : the parameter has it already.
    ValueError : ``n_power_iterations`` is not positive.
    """
    refuse_second(module, SpectralNorm, "spectral_norm", name)
    hook = SpectralNorm(name, n_power_iterations, output_dim(module) if dim is None else dim, eps)
    weight = module._parameters[name]
    assert weight is not None
    matrix = as_matrix(weight.detach(), hook.dim)
    u, v = (unit(randn(size, dtype=weight.dtype), eps) for size in matrix.shape)
    delattr(module, name)
    module.register_parameter(f"{name}_orig", weight)
    setattr(module, name, weight.detach())
    module.register_buffer(f"{name}_u", u)
    module.register_buffer(f"{name}_v", v)
    module.register_forward_pre_hook(hook)
    return module


def remove_spectral_norm(module: AnyModule, name: str = "weight") -> AnyModule:
    """Make ``<name>`` a parameter again, with its present values. Returns ``module``.

    Raises
    ------
    ValueError : it has no spectral norm.
    """
    hook = take_out(module, SpectralNorm, "spectral_norm", name)
    with no_grad():
        weight = hook.compute_weight(module, do_power_iteration=False)
    for part in ("", "_u", "_v", "_orig"):
        delattr(module, f"{name}{part}")
    module.register_parameter(name, Parameter(weight.detach()))
    return module
