"""``ElementwiseOptimizer``: what the rules share that keep an array or two of each parameter's shape, and a count of steps.

A subclass says which arrays and numbers it keeps (``_arrays``, ``_scalars``) and calls its kernel (``_update``).
``arena.py`` says where the arrays lie. Rules with a running mean and a running size of the gradient: ``adam.py``,
``nadam.py``, ``radam.py``, ``adamax.py``; with its size alone: ``rmsprop.py``, ``adagrad.py``, ``adadelta.py``; others:
``asgd.py``, ``rprop.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from minicnn.autograd import Tensor
from minicnn.optim.arena import zeros_like
from minicnn.optim.optimizer import Optimizer
from minicnn.optim.options import call_closure, check_state, scalar
from minicnn_kernels import backend_of


class ElementwiseOptimizer(Optimizer):
    """Base of the rules that treat each element of a parameter alike; see the top of the file."""

    _numbers: tuple[str, ...] = ("step",)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change every parameter that has a gradient; see ``Optimizer.step``."""
        loss = call_closure(closure)
        writer = f"{type(self).__name__}.step"
        for group in self.param_groups:
            active = [parameter for parameter in group["params"] if parameter.grad is not None]
            if not active:
                continue
            names = tuple(self._arrays(group))
            states = self._begin(active, group)
            for parameter, state in zip(active, states, strict=True):
                check_state(parameter, state, *names)
            params = [parameter._array for parameter in active]
            grads = [parameter.grad._array for parameter in active]
            kept = [[state[name]._array for state in states] for name in names]
            steps = [_count(state) for state in states]
            self._update(backend_of(params[0]), group, params, grads, steps, states, *kept)
            for parameter, state in zip(active, states, strict=True):
                for written in (parameter, state["step"], *[state[name] for name in names]):
                    written._version_cell.bump(writer)
        return loss

    def _arrays(self, group: Mapping[str, Any]) -> dict[str, float]:
        """What is kept for each element of a parameter: names, in torch's order, and the values at the beginning."""
        raise NotImplementedError

    def _scalars(self, group: Mapping[str, Any]) -> dict[str, float]:
        """What is kept for a whole parameter beside ``step``: names, in torch's order, and values at the beginning."""
        return {}

    def _update(
        self,
        kernels: Any,
        group: Mapping[str, Any],
        params: list[np.ndarray],
        grads: list[np.ndarray],
        steps: list[float],
        states: list[dict[str, Any]],
        *kept: list[np.ndarray],
    ) -> None:
        """Call the kernel. ``steps`` count from 1; ``kept`` are the lists of arrays named by ``_arrays``, in its order."""
        raise NotImplementedError

    def _begin(self, parameters: Sequence[Tensor], group: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The parameters' states; what is missing from one, at its first step, is made."""
        arrays = self._arrays(group)
        states = [self.state[parameter] for parameter in parameters]
        missing = {
            (id(state), name): (parameter, state, name)  # once, if a parameter is mentioned twice
            for name in arrays
            for parameter, state in zip(parameters, states, strict=True)
            if name not in state
        }
        if missing:
            for _, state, _ in missing.values():
                if "step" not in state:
                    state["step"] = scalar(0.0)
                    for name, value in self._scalars(group).items():
                        state[name] = scalar(value)
            pieces = zeros_like([parameter._array for parameter, _, _ in missing.values()])
            for (_, state, name), piece in zip(missing.values(), pieces, strict=True):
                if arrays[name] != 0:
                    piece.fill(arrays[name])
                state[name] = Tensor(piece)
        return states


def _count(state: Mapping[str, Any]) -> float:
    """Add one to a count of steps, and read it."""
    step = state["step"]._array
    step[()] += 1
    return float(step)
