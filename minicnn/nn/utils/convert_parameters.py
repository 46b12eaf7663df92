"""All parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable

from minicnn.autograd import Tensor
from minicnn.ops import cat


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """The elements of all parameters one behind the other, a 1-D tensor with their history.

    >>> import minicnn as mc
    >>> parameters_to_vector([mc.ones(2, 2), mc.zeros(1)])
    tensor([1., 1., 1., 1., 0.])
    """
    return cat([parameter.reshape(-1) for parameter in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Cut a 1-D tensor into the parameters' shapes, which from then on look at its memory.

    Raises
    ------
    TypeError : ``vec`` is no tensor.
    RuntimeError : it is too short.

    >>> import minicnn as mc
    >>> layer = mc.nn.Linear(2, 1)
    >>> vector_to_parameters(mc.tensor([1.0, 2.0, 3.0]), layer.parameters())
    >>> layer.weight.tolist(), layer.bias.tolist()
    ([[1.0, 2.0]], [3.0])
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected a Tensor, but got: {type(vec).__name__}")
    start = 0
    for parameter in parameters:
        stop = start + parameter.numel()
        if stop > vec.numel():
            raise RuntimeError(
                f"vec has {vec.numel()} elements, too few for the parameters: the one of shape {tuple(parameter.shape)} "
                f"takes elements {start} to {stop - 1}"
            )
        parameter.data = vec.detach()[start:stop].view(tuple(parameter.shape))
        start = stop
