"""Checkpointing: less memory for more computing (Chen et al. 2016, "Training deep nets with sublinear memory cost").

``checkpoint(f, x)`` computes ``f(x)`` without keeping what its operations need for their backward pass. When the first of
them asks for it, f is run again, and what it keeps this time is given to the operations of the first run, one by one.
That is a pair of hooks on saved tensors (``minicnn/autograd/graph.py``).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from minicnn.autograd import Tensor, enable_grad, is_grad_enabled, no_grad
from minicnn.autograd.graph import saved_tensors_hooks
from minicnn.random import get_rng_state, set_rng_state

Contexts = tuple[AbstractContextManager[Any], AbstractContextManager[Any]]


class CheckpointError(RuntimeError):
    """The second run of a checkpointed function did not do what the first did."""


class _Done(Exception):
    """Ends a second run, once it has kept all that is needed."""


def noop_context_fn() -> Contexts:
    """No contexts around either run."""
    return nullcontext(), nullcontext()


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    context_fn: Callable[[], Contexts] = noop_context_fn,
    determinism_check: str = "default",
    debug: bool = False,
    early_stop: bool = True,
    preserve_rng_state: bool = True,
    **kwargs: Any,
) -> Any:
    """``function(*args, **kwargs)``, which is run again in the backward pass instead of keeping what that needs.

    Parameters
    ----------
    function : any function of tensors, such as a module; the second run must do what the first did.
    use_reentrant : torch's choice between two implementations. There is one here; True (torch's default, with a warning)
        has the restrictions that it has in torch: no keyword arguments, and no gradient where no argument requires one.
    context_fn : returns two context managers, one for each run.
    determinism_check : "default" compares shapes and types of what both runs keep, "none" does not.
    debug : not supported.
    early_stop : end the second run as soon as all that is needed is there.
    preserve_rng_state : draw the same random numbers in the second run (dropout needs it).

    >>> import minicnn as mc
    >>> from minicnn.utils.checkpoint import checkpoint
    >>> x = mc.tensor([0.0, 1.0], requires_grad=True)
    >>> checkpoint(lambda x: x.exp() * x, x, use_reentrant=False).sum().backward()
    >>> x.grad
    tensor([1.0000, 5.4366])

    Raises
    ------
    CheckpointError : in the backward pass, where the second run keeps something else than the first.
    ValueError : arguments that do not go with ``use_reentrant=True``, or an unknown ``determinism_check``.
    """
    if use_reentrant is None:
        warnings.warn(
            "checkpoint: pass use_reentrant explicitly, use_reentrant=False if you can; True is assumed", stacklevel=2
        )
        use_reentrant = True
    if debug:
        raise NotImplementedError("debug: not supported; the error names what differs")
    if determinism_check not in ("default", "none"):
        raise ValueError(f"determinism_check should be one of ['default', 'none'], but got {determinism_check}")
    if use_reentrant:
        if kwargs:
            raise ValueError(f"Unexpected keyword arguments: {','.join(kwargs)}; pass use_reentrant=False")
        if context_fn is not noop_context_fn:
            raise ValueError("context_fn is only supported when use_reentrant=False")
        if not any(isinstance(a, Tensor) and a.requires_grad for a in args):
            warnings.warn("None of the inputs have requires_grad=True. Gradients will be None", stacklevel=2)
            with no_grad():
                return function(*args)
    first, second = context_fn()
    if not is_grad_enabled():
        with first:
            return function(*args, **kwargs)
    run = _Run(
        lambda: function(*args, **kwargs), second, determinism_check == "default", early_stop, preserve_rng_state
    )
    with saved_tensors_hooks(run.pack, run.unpack), first:
        return function(*args, **kwargs)


class _Run:
    """What one checkpoint remembers: how to run again, and the shape and type of each tensor that was to be kept."""

    def __init__(
        self,
        again: Callable[[], Any],
        context: AbstractContextManager[Any],
        check: bool,
        early_stop: bool,
        same_draws: bool,
    ):
        self.again, self.context, self.check, self.early_stop = again, context, check, early_stop
        self.rng_state = get_rng_state() if same_draws else None
        self.expected: list[tuple[tuple[int, ...], Any]] = []
        self.found: dict[int, Tensor] = {}  # of the second run; each is handed out once
        self.count = 0

    def pack(self, tensor: Tensor) -> int:
        self.expected.append((tuple(tensor.shape), tensor.dtype))
        return len(self.expected) - 1

    def unpack(self, number: int) -> Tensor:
        if number not in self.found:
            self.run_again()
        if number not in self.found:
            raise CheckpointError(f"checkpoint: the second run did not keep tensor {number}, which the first run kept")
        return self.found.pop(number)

    def run_again(self) -> None:
        self.count = 0
        former = get_rng_state()
        try:
            if self.rng_state is not None:
                set_rng_state(self.rng_state)
            with enable_grad(), saved_tensors_hooks(self.note, _not_here), self.context:
                self.again()
        except _Done:
            pass
        finally:
            if self.rng_state is not None:
                set_rng_state(former)
        if self.check and self.count != len(self.expected):
            raise CheckpointError(
                f"checkpoint: the first run kept {len(self.expected)} tensors for the backward pass, the second "
                f"{self.count}; the function must do the same each time"
            )

    def note(self, tensor: Tensor) -> None:
        number, self.count = self.count, self.count + 1
        if number >= len(self.expected):
            return
        found = tuple(tensor.shape), tensor.dtype
        if self.check and found != self.expected[number]:
            raise CheckpointError(
                f"checkpoint: tensor {number} kept for the backward pass was {self.expected[number]} in the first run, and "
                f"is {found} in the second; the function must do the same each time"
            )
        self.found[number] = tensor
        if self.early_stop and self.count == len(self.expected):
            raise _Done


def _not_here(kept: Any) -> Tensor:
    raise CheckpointError("checkpoint: the graph of the second run is not for a backward pass of its own")


def checkpoint_sequential(
    functions: Any,
    segments: int,
    input: Any,
    use_reentrant: bool | None = None,
    **kwargs: Any,
) -> Any:
    """Functions applied one after the other, in ``segments`` of which all but the last are checkpointed.

    Parameters
    ----------
    functions : a ``Sequential``, or a list of functions.
    segments : how many; about the square root of the number of functions takes the least memory.
    input : of the first.
    use_reentrant, preserve_rng_state : as in :func:`checkpoint`.

    Raises
    ------
    ValueError : unknown keyword arguments, or segments that are not 1 .. the number of functions.
    """
    if use_reentrant is None:
        warnings.warn(
            "checkpoint_sequential: pass use_reentrant explicitly, use_reentrant=False if you can; True is assumed",
            stacklevel=2,
        )
        use_reentrant = True
    preserve_rng_state = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ValueError(f"Unexpected keyword arguments: {','.join(kwargs)}")
    steps = list(functions)
    if not 1 <= segments <= len(steps):
        raise ValueError(f"segments: expected 1 .. {len(steps)}, the number of functions, got {segments}")

    def run(start: int, stop: int) -> Callable[[Any], Any]:
        def segment(value: Any) -> Any:
            for step in steps[start:stop]:
                value = step(value)
            return value

        return segment

    size = len(steps) // segments
    for i in range(segments - 1):
        input = checkpoint(
            run(i * size, (i + 1) * size), input, use_reentrant=use_reentrant, preserve_rng_state=preserve_rng_state
        )
    return run((segments - 1) * size, len(steps))(input)
