"""Pruning: some elements of a parameter held at zero, by a mask.

A method computes a mask of ones and zeros; the parameter ``weight`` becomes ``weight_orig``, the mask the buffer
``weight_mask``, and a hook computes ``weight = weight_mask * weight_orig`` before each forward. Pruned again, only what is
left counts. ``remove`` makes it permanent. Names and state dicts are torch's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, TypeVar

import numpy as np

from minicnn.autograd import Tensor
from minicnn.nn.module import Module
from minicnn.nn.utils.prune_masks import Amount, check_amount, checked_dim, others, without_least, without_slices
from minicnn.ops import ones_like
from minicnn.random import default_generator

AnyModule = TypeVar("AnyModule", bound=Module)


class BasePruningMethod(ABC):
    """Base of the methods: a subclass defines ``compute_mask`` and says of which kind it is.

    ``PRUNING_TYPE`` is 'unstructured' (single elements: pruned again, it sees those that are left), 'structured' (whole
    slices along ``dim``: it sees the slices that are left), or 'global' (it sees everything).
    """

    PRUNING_TYPE: ClassVar[str]
    _tensor_name: str

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self._tensor_name, self.apply_mask(module))

    @abstractmethod
    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The new mask for importances ``t``, of its shape, zero wherever ``default_mask`` is."""

    def apply_mask(self, module: Module) -> Tensor:
        """The masked parameter."""
        mask, original = (getattr(module, f"{self._tensor_name}_{part}") for part in ("mask", "orig"))
        return mask.to(original.dtype) * original

    @classmethod
    def apply(
        cls, module: Module, name: str, *args: Any, importance_scores: Tensor | None = None, **kwargs: Any
    ) -> BasePruningMethod:
        """Prune ``module.<name>``, or prune it further. Returns the method that is now in force.

        Parameters
        ----------
        module, name : the layer and its parameter.
        args, kwargs : for the method.
        importance_scores : what to go by in place of the parameter itself, of its shape.
        """
        former = _hook_of(module, name)
        method = cls(*args, **kwargs)
        method._tensor_name = name
        original = getattr(module, name)
        scores = original if importance_scores is None else importance_scores
        if scores.shape != original.shape:
            raise ValueError(
                f"importance_scores should have the shape of the parameter {name}, {tuple(original.shape)}; got "
                f"{tuple(scores.shape)}"
            )
        if former is None:
            default = ones_like(original.detach())
            in_force: BasePruningMethod = method
        else:
            default = getattr(module, f"{name}_mask").detach().clone()
            key, present = former
            in_force = present if isinstance(present, PruningContainer) else PruningContainer(present)
            in_force._tensor_name = name
            in_force.add_pruning_method(method)
        mask = in_force.compute_mask(scores.detach(), default)  # may raise: nothing has changed yet
        if former is None:
            del module._parameters[name]
            module.register_parameter(f"{name}_orig", original)
        else:
            del module._forward_pre_hooks[key]
        module.register_buffer(f"{name}_mask", mask)
        setattr(module, name, in_force.apply_mask(module))
        module.register_forward_pre_hook(in_force)
        return in_force

    def prune(self, t: Tensor, default_mask: Tensor | None = None, importance_scores: Tensor | None = None) -> Tensor:
        """A pruned copy of ``t``."""
        scores = t if importance_scores is None else importance_scores
        default = ones_like(t.detach()) if default_mask is None else default_mask
        return t * self.compute_mask(scores.detach(), default)

    def remove(self, module: Module) -> None:
        """Make the masked values the parameter again."""
        name = self._tensor_name
        original = module._parameters[f"{name}_orig"]
        assert original is not None
        value = self.apply_mask(module).detach()
        delattr(module, name)
        del module._parameters[f"{name}_orig"]
        del module._buffers[f"{name}_mask"]
        original.data = value
        setattr(module, name, original)


class PruningContainer(BasePruningMethod):
    """Several methods for one parameter, one after the other."""

    PRUNING_TYPE = "global"

    def __init__(self, *args: Any) -> None:
        methods = args[0] if len(args) == 1 and not isinstance(args[0], BasePruningMethod) else args
        self._pruning_methods: tuple[BasePruningMethod, ...] = ()
        if methods:
            self._tensor_name = methods[0]._tensor_name
        for method in methods:
            self.add_pruning_method(method)

    def add_pruning_method(self, method: BasePruningMethod) -> None:
        """Add one for the same parameter."""
        if not isinstance(method, BasePruningMethod):
            raise TypeError(f"{type(method)} is not a BasePruningMethod subclass")
        if self._tensor_name != method._tensor_name:
            raise ValueError(
                "Can only add pruning methods acting on the parameter named "
                f"'{self._tensor_name}' to PruningContainer {self}. Found '{method._tensor_name}'"
            )
        self._pruning_methods += (method,)

    def __len__(self) -> int:
        return len(self._pruning_methods)

    def __iter__(self) -> Any:
        return iter(self._pruning_methods)

    def __getitem__(self, index: int) -> BasePruningMethod:
        return self._pruning_methods[index]

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The last method's mask, of what the others have left."""
        method = self._pruning_methods[-1]
        mask = default_mask._array.copy()
        where: Any
        if method.PRUNING_TYPE == "unstructured":
            where = mask == 1
        elif method.PRUNING_TYPE == "structured":
            dim = method.dim % t.ndim  # type: ignore[attr-defined]
            left = mask.sum(axis=others(t.ndim, dim)) != 0
            where = (slice(None),) * dim + (left,)
        elif method.PRUNING_TYPE == "global":
            where = ...
        else:
            raise ValueError(f"Unrecognized PRUNING_TYPE {method.PRUNING_TYPE}")
        part = method.compute_mask(Tensor(t._array[where]), Tensor(mask[where]))
        mask[where] = part._array
        return Tensor(mask)


class Identity(BasePruningMethod):
    """Prunes nothing: makes ``<name>_orig`` and a mask of ones."""

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        return default_mask


class _ByAmount(BasePruningMethod):
    """The methods that take away the least of something."""

    def __init__(self, amount: Amount) -> None:
        check_amount(amount)
        self.amount = amount


class RandomUnstructured(_ByAmount):
    """Elements at random; ``amount`` is their number, or, as a float, their share."""

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        return without_least(default_mask, default_generator.uniform(t.shape), self.amount)


class L1Unstructured(_ByAmount):
    """The elements of the smallest absolute values; ``amount`` is their number, or, as a float, their share."""

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        return without_least(default_mask, np.abs(t._array), self.amount)


class RandomStructured(_ByAmount):
    """Slices along ``dim`` at random; ``amount`` is their number, or, as a float, their share."""

    PRUNING_TYPE = "structured"

    def __init__(self, amount: Amount, dim: int = -1) -> None:
        super().__init__(amount)
        self.dim = dim

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        dim = checked_dim(t, self.dim)
        return without_slices(default_mask, default_generator.uniform((t.shape[dim],)), self.amount, dim)


class LnStructured(_ByAmount):
    """The slices along ``dim`` of the smallest Ln norms; ``amount`` is their number, or, as a float, their share."""

    PRUNING_TYPE = "structured"

    def __init__(self, amount: Amount, n: float | str, dim: int = -1) -> None:
        super().__init__(amount)
        self.n = n
        self.dim = dim

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        dim = checked_dim(t, self.dim)
        slices = np.moveaxis(t._array, dim, 0).reshape(t.shape[dim], -1)
        order = 2.0 if self.n == "fro" else self.n
        if isinstance(order, str):
            raise NotImplementedError(f"n={self.n!r}: expected a number, infinity, or 'fro'")
        return without_slices(default_mask, np.linalg.norm(slices, order, axis=1), self.amount, dim)


class CustomFromMask(BasePruningMethod):
    """A mask that somebody else computed."""

    PRUNING_TYPE = "global"

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        return default_mask * self.mask.to(default_mask.dtype)


def identity(module: AnyModule, name: str) -> AnyModule:
    """Make ``<name>_orig`` and a mask of ones, and prune nothing. Returns ``module``."""
    Identity.apply(module, name)
    return module


def random_unstructured(module: AnyModule, name: str, amount: Amount) -> AnyModule:
    """Prune elements at random. Returns ``module``.

    Parameters
    ----------
    module, name : the layer and its parameter.
    amount : how many, or, as a float in [0, 1], which share of those that are left.

    >>> import minicnn as mc
    >>> layer = random_unstructured(mc.nn.Linear(4, 5), "weight", amount=3)
    >>> int((layer.weight == 0).sum())
    3
    """
    RandomUnstructured.apply(module, name, amount)
    return module


def l1_unstructured(module: AnyModule, name: str, amount: Amount, importance_scores: Tensor | None = None) -> AnyModule:
    """Prune the elements of the smallest absolute values. Returns ``module``.

    Parameters
    ----------
    module, name : the layer and its parameter.
    amount : how many, or, as a float in [0, 1], which share of those that are left.
    importance_scores : what to go by in place of the parameter itself.

    >>> import minicnn as mc
    >>> layer = mc.nn.Linear(4, 1)
    >>> _ = layer.weight.data.copy_(mc.tensor([[3.0, -1.0, 0.5, -2.0]]))
    >>> l1_unstructured(layer, "weight", amount=0.5).weight.tolist()
    [[3.0, -0.0, 0.0, -2.0]]
    """
    L1Unstructured.apply(module, name, amount=amount, importance_scores=importance_scores)
    return module


def random_structured(module: AnyModule, name: str, amount: Amount, dim: int) -> AnyModule:
    """Prune slices along ``dim`` at random. Returns ``module``. Arguments as ``random_unstructured``'s."""
    RandomStructured.apply(module, name, amount, dim)
    return module


def ln_structured(
    module: AnyModule,
    name: str,
    amount: Amount,
    n: float | str,
    dim: int,
    importance_scores: Tensor | None = None,
) -> AnyModule:
    """Prune the slices along ``dim`` of the smallest Ln norms. Returns ``module``. Arguments as ``l1_unstructured``'s."""
    LnStructured.apply(module, name, amount, n, dim, importance_scores=importance_scores)
    return module


def custom_from_mask(module: AnyModule, name: str, mask: Tensor) -> AnyModule:
    """Prune where ``mask`` is 0. Returns ``module``."""
    CustomFromMask.apply(module, name, mask)
    return module


def global_unstructured(
    parameters: Iterable[tuple[Module, str]],
    pruning_method: type[BasePruningMethod],
    importance_scores: Mapping[tuple[Module, str], Tensor] | None = None,
    **kwargs: Any,
) -> None:
    """Prune several parameters as if they were one long vector.

    Parameters
    ----------
    parameters : (module, name) pairs.
    pruning_method : an unstructured method, such as ``L1Unstructured``.
    importance_scores : from (module, name) to what to go by in place of the parameter.
    kwargs : for the method: ``amount=0.2``.

    Raises
    ------
    TypeError : the method is structured, or ``parameters`` no collection of pairs.
    """
    if not isinstance(parameters, Iterable):
        raise TypeError("global_unstructured(): parameters is not an Iterable")
    pairs = list(parameters)
    if pruning_method.PRUNING_TYPE != "unstructured":
        raise TypeError(
            'Only "unstructured" PRUNING_TYPE supported for the `pruning_method`. Found method '
            f"{pruning_method} of type {pruning_method.PRUNING_TYPE}"
        )
    given = {} if importance_scores is None else importance_scores
    values = [getattr(module, name).detach()._array for module, name in pairs]
    scores = [
        given[pair].detach()._array if pair in given else value for pair, value in zip(pairs, values, strict=True)
    ]
    masks = [
        getattr(module, f"{name}_mask")._array if hasattr(module, f"{name}_mask") else np.ones_like(value)
        for (module, name), value in zip(pairs, values, strict=True)
    ]
    method = pruning_method(**kwargs)
    method._tensor_name = "temp"
    flat = [Tensor(np.concatenate([array.reshape(-1) for array in arrays])) for arrays in (scores, masks)]
    mask = PruningContainer(method).compute_mask(*flat)._array
    start = 0
    for (module, name), value in zip(pairs, values, strict=True):
        custom_from_mask(module, name, Tensor(mask[start : start + value.size].reshape(value.shape).copy()))
        start += value.size


def remove(module: AnyModule, name: str) -> AnyModule:
    """Make the masked values of ``<name>`` the parameter: the zeros stay, but may be trained again. Returns ``module``.

    Raises
    ------
    ValueError : it is not pruned.
    """
    found = _hook_of(module, name)
    if found is None:
        raise ValueError(f"Parameter '{name}' of module {module} has to be pruned before pruning can be removed")
    key, method = found
    method.remove(module)
    del module._forward_pre_hooks[key]
    return module


def is_pruned(module: Module) -> bool:
    """Whether a parameter of the module, or of one below it, is pruned."""
    return any(
        isinstance(hook, BasePruningMethod)
        for submodule in module.modules()
        for hook, _ in submodule._forward_pre_hooks.values()
    )


def _hook_of(module: Module, name: str) -> tuple[int, BasePruningMethod] | None:
    for key, (hook, _) in module._forward_pre_hooks.items():
        if isinstance(hook, BasePruningMethod) and hook._tensor_name == name:
            return key, hook
    return None
