"""Op: one differentiable operation, its forward and its backward side by side. The inside door into autograd.

An operation is a class with two static methods that work on *arrays*::

    class Exp(Op):
        # y = e^x,  dy/dx = y
        @staticmethod
        def forward(ctx, x):
            out = np.exp(x)
            ctx.save(out)
            return out

        @staticmethod
        def backward(ctx, grad_out):
            (out,) = ctx.saved
            return grad_out * out

``Exp.apply(tensor)`` runs the forward and, where a gradient will be wanted, hangs a :class:`Node` on the result. The
rules: positional arguments are the operands (tensors arrive as arrays; anything else arrives as it is), keyword
arguments are options; ``backward`` returns one gradient for each positional argument, None where there is none.
Broadcasting and dtype casts are undone by the engine, so a rule may ignore both. Next: ``engine.py``, the walk back.
"""

from __future__ import annotations

import itertools
from typing import Any, ClassVar

import numpy as np

from . import anomaly, saving, tracing
from .grad_mode import is_grad_enabled
from .tensor import UNRECORDED_VIEW, Tensor, View
from .version import VersionCell

_sequence = itertools.count()


class Context:
    """What one call keeps between its forward and its backward.

    ``needs_input_grad[i]`` says whether positional argument i wants a gradient: save nothing, and compute nothing, for
    the others. Options and numbers may be kept as attributes; arrays go through :meth:`save`.
    """

    materialize_grads = True  # whether the gradient of an output that was not used arrives as zeros, or as None
    retained = True  # while a rule runs: whether what was kept has to stay for a second backward pass

    def __init__(self, name: str, needs_input_grad: tuple[bool, ...]):
        self.name = name
        self.needs_input_grad = needs_input_grad
        self._saved: tuple | None = ()
        self._seen: list[tuple[VersionCell, int] | None] = []
        self._unpack: Any = None  # of saved-tensor hooks (``graph.py``), where what was kept is what they made of it

    def save(self, *arrays: np.ndarray | None) -> None:
        """Keep arrays for the backward pass: inputs, outputs or fresh arrays, never a view of an input.

        (The version check tells an input by its identity; a view of it would slip through.)
        """
        self._saved = arrays

    @property
    def saved(self) -> tuple:
        """The arrays kept, after a look at whether any has been changed in place since."""
        if self._saved is None:
            raise RuntimeError(
                f"backward through {self.name} a second time: what it kept was freed after the first. Call "
                "backward(retain_graph=True) the first time if you need two"
            )
        for seen, array in zip(self._seen, self._saved, strict=True):
            if seen is not None and seen[0].value != seen[1]:
                cell, version = seen
                raise RuntimeError(
                    f"{self.name} kept an array of shape {np.shape(array)} for its backward pass, and "
                    f"{cell.last_writer} has changed it in place since (it is at version {cell.value}, expected "
                    f"{version}). Use the out-of-place form, or clone() first"
                )
        return self._saved if self._unpack is None else self._unpack(self._saved)

    def seal(self, tensors: list[Tensor]) -> None:
        """Note the versions of what was saved; ``tensors`` are the inputs and outputs of the call."""
        self.seal_cells({id(t._array): t._version_cell for t in tensors})

    def seal_cells(self, cells: dict[int, VersionCell]) -> None:
        """The same, the cells given by the arrays' ids."""
        self._seen = [(cell, cell.value) if (cell := cells.get(id(a))) else None for a in self._saved or ()]
        if saving.state.hooks and self._saved:
            self._saved, self._unpack = saving.packed(self._saved)

    def release(self) -> None:
        """Free what was kept; a second backward that needs it is an error from here on."""
        if self._saved:
            self._saved, self._seen = None, []


class Node:
    """One recorded call in the graph: who made a tensor, from what.

    ``edges[i]`` leads to where positional input i came from: ``(leaf tensor or node, output number, shape, dtype)``, or
    None where no gradient is wanted. ``sequence`` grows with time, so newest-first is an order in which every node comes
    before those it was computed from.
    """

    __slots__ = ("ctx", "edges", "hooks", "line", "op", "outputs", "retained", "sequence")

    def __init__(self, op: type[Op], ctx: Any, inputs: tuple, outputs: tuple[np.ndarray, ...], line: str | None):
        self.op = op
        self.ctx = ctx
        self.edges = tuple(_edge(x) for x in inputs)
        self.outputs = tuple((a.shape, a.dtype) for a in outputs)
        self.line = line
        self.sequence = next(_sequence)
        self.hooks: dict[int, dict[int, Any]] | None = None  # output number -> {handle id: function}
        self.retained: dict[int, Any] | None = None  # output number -> weak reference to a retain_grad() tensor

    def name(self) -> str:
        """The operation's name, as in torch's ``grad_fn.name()``."""
        return f"{self.op.__name__}Backward"

    @property
    def next_functions(self) -> tuple:
        """Where the gradient goes next, as (node or leaf tensor, output number)."""
        return tuple((None, 0) if e is None else (e[0], e[1]) for e in self.edges)

    def __repr__(self) -> str:
        return f"<{self.name()}>"


def _edge(x: Any) -> tuple | None:
    if not isinstance(x, Tensor) or not x.requires_grad:
        return None
    return (x if x._node is None else x._node, x._output_number, x._array.shape, x._array.dtype)


class Op:
    """Base of the differentiable operations. See the top of the file for the rules."""

    returns_view: ClassVar[bool] = False  # the results may share the first operand's memory

    @staticmethod
    def forward(ctx: Any, *args: Any, **options: Any) -> Any:
        raise NotImplementedError

    @staticmethod
    def backward(ctx: Any, *grad_outs: Any) -> Any:
        raise NotImplementedError

    @classmethod
    def run_backward(cls, ctx: Any, grad_outs: tuple) -> tuple:
        """What the engine calls: arrays in, one array or None for each positional argument out."""
        if ctx._saved is None:
            ctx.saved  # noqa: B018  raises: the graph was freed
        grads = cls.backward(ctx, *grad_outs)
        return grads if isinstance(grads, tuple) else (grads,)

    @classmethod
    def apply(cls, *args: Any, **options: Any) -> Any:
        """Run the operation on tensors; returns a tensor, or a tuple of them where ``forward`` returns a tuple."""
        recording = is_grad_enabled()
        needs = tuple([recording and isinstance(a, Tensor) and a.requires_grad for a in args])
        ctx = Context(cls.__name__, needs)
        arrays = [a._array if isinstance(a, Tensor) else a for a in args]
        with np.errstate(all="ignore"):  # infinities and NaNs are results here, as in torch, not warnings
            result = cls.forward(ctx, *arrays, **options)

        single = not isinstance(result, tuple)
        outputs = (Tensor(result),) if single else tuple(Tensor(r) for r in result)
        line = anomaly.user_line() if anomaly.is_enabled() else None
        if line is not None:
            anomaly.check_forward(cls.__name__, arrays, [t._array for t in outputs], line)
        if cls.returns_view and isinstance(args[0], Tensor):
            for number, output in enumerate(outputs):
                if output._share_storage(args[0]):
                    if recording:
                        output._view_of = tuple.__new__(View, (args[0], cls, args[1:], options, number))
                        output._version_cell.add_view(output)
                    else:
                        output._view_of = UNRECORDED_VIEW
        if True in needs:
            record(cls, ctx, args, outputs, line)
            ctx.seal([a for a in args if isinstance(a, Tensor)] + list(outputs))
        if tracing.state.tracer is not None:
            tracing.state.tracer.operation(cls, args, options, outputs)
        return outputs[0] if single else outputs


def record(op: type[Op], ctx: Any, inputs: tuple, outputs: tuple[Tensor, ...], line: str | None) -> None:
    """Hang one node on the floating-point outputs of a call."""
    node = Node(op, ctx, inputs, tuple(t._array for t in outputs), line)
    for number, tensor in enumerate(outputs):
        if tensor._array.dtype.kind == "f":
            tensor._node, tensor._output_number, tensor._leaf_requires_grad = node, number, False
