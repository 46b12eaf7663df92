"""When the loss is no longer a number: which step, and where in the network it began.

The trainer looks at every loss before it lets the optimiser touch the weights. When one is not finite,
:func:`first_non_finite` runs the same forward pass again, with the random generator put back so that dropout drops the
same units, and watches every module's parameters, inputs and outputs in the order in which they are used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd import Tensor, no_grad
from ..nn import Module
from ..random import GeneratorState, default_generator


class NonFiniteLossError(FloatingPointError):
    """The loss became nan or infinite. ``step`` counts from 1; ``origin`` says where the first bad value was."""

    def __init__(self, loss: float, step: int, where: str, origin: str):
        self.loss, self.step, self.origin = loss, step, origin
        super().__init__(
            f"the loss is {loss} at step {step} ({where}); the first value that is not finite is in {origin}"
        )


def first_non_finite(model: Module, images: Tensor, generator_state: GeneratorState) -> str:
    """Where the first nan or infinity of a forward pass is: ``"the output of features.1 (BatchNorm2d)"``.

    Parameters
    ----------
    model : as it was for the pass in question (its parameters unchanged since, its mode the same).
    images : that pass's batch.
    generator_state : the default generator's state just before that pass.

    The model's buffers and the generator are put back as they were found.

    >>> import minicnn as mc
    >>> model = mc.nn.Sequential(mc.nn.Linear(2, 3), mc.nn.ReLU())
    >>> _ = mc.nn.init.constant_(model[0].bias, float("inf"))
    >>> first_non_finite(model, mc.ones(1, 2), mc.random.default_generator.get_state())
    "parameter '0.bias'"
    """
    if not _finite(images):
        return "the input images"
    found: list[str] = []
    handles = []
    for name, module in model.named_modules():
        handles.append(module.register_forward_pre_hook(_parameter_check(name, module, found)))
        handles.append(module.register_forward_hook(_output_check(name, module, found)))
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    generator_now = default_generator.get_state()
    try:
        with no_grad():
            default_generator.set_state(generator_state)
            model(images)
    finally:
        default_generator.set_state(generator_now)
        with no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
        for handle in handles:
            handle.remove()
    return found[0] if found else "the loss function: the network's output is finite"


def _parameter_check(name: str, module: Module, found: list[str]) -> Callable[..., None]:
    def check(_module: Module, _args: Any) -> None:
        for key, parameter in module.named_parameters(prefix=name, recurse=False):
            if not _finite(parameter):
                found.append(f"parameter {key!r}")

    return check


def _output_check(name: str, module: Module, found: list[str]) -> Callable[..., None]:
    def check(_module: Module, _args: Any, output: Any) -> None:
        if isinstance(output, Tensor) and not _finite(output):
            found.append(f"the output of {name or 'the network'} ({type(module).__name__})")

    return check


def non_finite_state(model: Module) -> str | None:
    """The name of the first parameter or buffer that holds a nan or an infinity; None where all are finite."""
    for name, tensor in model.state_dict().items():
        if not _finite(tensor):
            return name
    return None


def _finite(tensor: Tensor) -> bool:
    return bool(np.isfinite(tensor.detach().numpy()).all())
