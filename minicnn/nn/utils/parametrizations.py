"""Weights computed from other parameters: ``weight_norm``, ``spectral_norm``, ``orthogonal``.

Each registers a module with ``parametrize.py``, where the mechanism is explained: the layer's ``weight`` is computed
whenever it is read. ``parametrize.remove_parametrizations(layer, "weight")`` undoes them.
"""

from __future__ import annotations

from typing import Any, TypeVar

from minicnn.autograd import Tensor, no_grad
from minicnn.nn.module import Module
from minicnn.nn.utils import parametrize
from minicnn.nn.utils.orthogonal import Orthogonal
from minicnn.nn.utils.spectral_norm import as_matrix, output_dim, unit
from minicnn.nn.utils.weight_norm import norm_except_dim, normalized
from minicnn.ops import matmul, randn

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]

AnyModule = TypeVar("AnyModule", bound=Module)


class _WeightNorm(Module):
    """(g, v) -> g * v / |v|."""

    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        return normalized(weight_v, weight_g, self.dim)

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return norm_except_dim(weight, self.dim), weight


def weight_norm(module: AnyModule, name: str = "weight", dim: int | None = 0) -> AnyModule:
    """Train a weight's length and direction apart: ``weight = g * v / |v|`` (Salimans & Kingma 2016).

    https://arxiv.org/abs/1602.07868. g is ``module.parametrizations.<name>.original0``, v ``original1``; a state dict
    with the former names ``<name>_g`` and ``<name>_v`` can be loaded. Returns ``module``.

    Parameters
    ----------
    module : a layer.
    name : the parameter's name.
    dim : along which slices have lengths of their own; 0 is one for each output, None one for all.

    Raises
    ------
    ValueError : there is no parameter of that name.

    >>> import minicnn as mc
    >>> layer = weight_norm(mc.nn.Linear(2, 3))
    >>> layer.parametrizations.weight.original0.shape
    minicnn.Size([3, 1])
    """
    parametrize.register_parametrization(module, name, _WeightNorm(dim), unsafe=True)

    def from_former_names(module: Module, state_dict: dict[str, Any], prefix: str, *_: Any) -> None:
        former = [f"{prefix}{name}_{part}" for part in ("g", "v")]
        if all(key in state_dict for key in former):
            for i, key in enumerate(former):
                state_dict[f"{prefix}parametrizations.{name}.original{i}"] = state_dict.pop(key)

    module.register_load_state_dict_pre_hook(from_former_names)
    return module


class _SpectralNorm(Module):
    """W -> W / sigma, its largest singular value by power iteration."""

    _u: Tensor
    _v: Tensor

    def __init__(self, weight: Tensor, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12) -> None:
        super().__init__()
        if not -weight.ndim <= dim < weight.ndim:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [-{weight.ndim}, {weight.ndim - 1}] but got {dim})"
            )
        if n_power_iterations <= 0:
            raise ValueError(
                f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}"
            )
        self.dim = dim % weight.ndim
        self.eps = eps
        if weight.ndim > 1:
            self.n_power_iterations = n_power_iterations
            matrix = as_matrix(weight.detach(), self.dim)
            u, v = (unit(randn(size, dtype=weight.dtype), eps) for size in matrix.shape)
            self.register_buffer("_u", u)
            self.register_buffer("_v", v)
            self._power_method(matrix, 15)  # near the right vectors to begin with

    def _power_method(self, matrix: Tensor, n_power_iterations: int) -> None:
        with no_grad():
            for _ in range(n_power_iterations):
                self._u.copy_(unit(matmul(matrix, self._v), self.eps))
                self._v.copy_(unit(matmul(matrix.t(), self._u), self.eps))

    def forward(self, weight: Tensor) -> Tensor:
        if weight.ndim == 1:
            return unit(weight, self.eps)
        matrix = as_matrix(weight, self.dim)
        if self.training:
            self._power_method(matrix.detach(), self.n_power_iterations)
        u, v = self._u.clone(), self._v.clone()  # the next iteration writes into the buffers
        return weight / (u * matmul(matrix, v)).sum()

    def right_inverse(self, value: Tensor) -> Tensor:
        return value  # whoever assigns it may give it the norm that they want


def spectral_norm(
    module: AnyModule, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> AnyModule:
    """Divide a weight, seen as a matrix, by its largest singular value sigma (Miyato et al. 2018).

    https://arxiv.org/abs/1802.05957, algorithm 1. sigma is estimated by power iteration, one more each time the weight is
    read in training: ``u = W v / |W v|``, ``v = W^T u / |W^T u|``, ``sigma = u . W v``. A vector is divided by its
    length. Returns ``module``.

    Parameters
    ----------
    module : a layer.
    name : the parameter's name.
    n_power_iterations : iterations at each use in training.
    eps : the smallest norm to divide by.
    dim : the dimension of the outputs: 0, or 1 for transposed convolutions, by default.

    Raises
    ------
    ValueError : there is no parameter of that name; ``n_power_iterations`` is not positive.

    >>> import minicnn as mc
    >>> layer = spectral_norm(mc.nn.Linear(2, 3))
    >>> with mc.no_grad():
    ...     _ = layer.parametrizations.weight.original.fill_(2.0)
    >>> _ = layer.weight, layer.weight  # iterations
    >>> round((layer.weight**2).sum().item(), 4)
    1.0
    """
    weight = _weight_of(module, name)
    dim = output_dim(module) if dim is None else dim
    parametrize.register_parametrization(module, name, _SpectralNorm(weight, n_power_iterations, dim, eps))
    return module


def orthogonal(
    module: AnyModule, name: str = "weight", orthogonal_map: str | None = None, *, use_trivialization: bool = True
) -> AnyModule:
    """Keep a matrix orthogonal: its rows, or its columns if there are more rows, stay of length 1 and perpendicular.

    (Lezcano-Casado 2019, https://arxiv.org/abs/1909.09501.) A batch of matrices in the last two dimensions is kept so one
    by one. Returns ``module``.

    Parameters
    ----------
    module : a layer.
    name : the parameter's name.
    orthogonal_map : from any matrix to an orthogonal one: 'matrix_exp' (by default for square ones), 'cayley' or
        'householder' (by default for others).
    use_trivialization : multiply by the present weight, made orthogonal, as a fixed base; so assignment to the weight
        works, and training is often faster.

    Raises
    ------
    ValueError : there is no parameter of that name, it has fewer than 2 dimensions, another ``orthogonal_map``.

    >>> import minicnn as mc
    >>> layer = orthogonal(mc.nn.Linear(3, 2))
    >>> product = layer.weight @ layer.weight.T
    >>> bool((product - mc.eye(2)).abs().max() < 1e-6)
    True
    """
    weight = _weight_of(module, name)
    if weight.ndim < 2:
        raise ValueError(f"Expected a matrix or batch of matrices. Got a tensor of {weight.ndim} dimensions.")
    if orthogonal_map is None:
        orthogonal_map = "matrix_exp" if weight.shape[-2] == weight.shape[-1] else "householder"
    parametrize.register_parametrization(
        module, name, Orthogonal(weight, orthogonal_map, use_trivialization=use_trivialization), unsafe=True
    )
    return module


def _weight_of(module: Module, name: str) -> Tensor:
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    return weight
