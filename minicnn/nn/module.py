"""``Module``, the base class of every layer and network: calling, train and eval, conversion, printing.

Its other halves are inherited: ``tree.py`` (which parameters, buffers and submodules it holds) and ``state_dict.py``
(saving and loading). Layers are in the files beside this one, one family each.
Next: ``conv.py``.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Self

from minicnn.autograd import RemovableHandle, Tensor, no_grad
from minicnn.device import device as Device
from minicnn.dtypes import DType, float32, float64
from minicnn.nn.hooks import call_with_hooks, register
from minicnn.nn.state_dict import STATE_HOOKS, StateDictMixin
from minicnn.ops import empty_like


class Module(StateDictMixin):
    """Base class of layers and networks: subclass it, create layers in ``__init__``, compute in ``forward``.

    >>> import minicnn as mc
    >>> from minicnn import nn
    >>> class Net(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.fc1 = nn.Linear(4, 8)
    ...         self.fc2 = nn.Linear(8, 2)
    ...     def forward(self, x):
    ...         return self.fc2(mc.relu(self.fc1(x)))
    >>> net = Net()
    >>> net(mc.zeros(5, 4)).shape
    minicnn.Size([5, 2])
    >>> sum(p.numel() for p in net.parameters())
    58
    """

    training: bool

    def __init__(self) -> None:
        super().__init__()
        self.training = True
        self._forward_pre_hooks: OrderedDict[int, tuple[Callable[..., Any], bool]] = OrderedDict()
        self._forward_hooks: OrderedDict[int, tuple[Callable[..., Any], bool, bool]] = OrderedDict()
        self._backward_pre_hooks: OrderedDict[int, Callable[..., Any]] = OrderedDict()
        self._backward_hooks: OrderedDict[int, Callable[..., Any]] = OrderedDict()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output; every subclass defines it. Call the module itself (``net(x)``) so that hooks run."""
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._forward_hooks or self._forward_pre_hooks or self._backward_hooks or self._backward_pre_hooks:
            return call_with_hooks(self, args, kwargs)
        return self.forward(*args, **kwargs)

    # ------------------------------------------------------------------ hooks

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args)`` before ``forward``; what it returns replaces the arguments.

        Parameters
        ----------
        hook : returns ``None``, new positional arguments (one value or a tuple), or, with ``with_kwargs``,
            ``(args, kwargs)``.
        prepend : run before the hooks registered so far.
        with_kwargs : call ``hook(module, args, kwargs)``.
        """
        return register(self._forward_pre_hooks, (hook, with_kwargs), prepend)

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args, output)`` after ``forward``; what it returns, unless ``None``, replaces the output.

        Parameters
        ----------
        hook : the function to call.
        prepend : run before the hooks registered so far.
        with_kwargs : call ``hook(module, args, kwargs, output)``.
        always_call : call it even when ``forward`` raises.

        >>> import minicnn as mc
        >>> layer = mc.nn.Linear(3, 2)
        >>> handle = layer.register_forward_hook(lambda module, args, output: print(output.shape))
        >>> _ = layer(mc.zeros(5, 3))
        minicnn.Size([5, 2])
        >>> handle.remove()
        """
        return register(self._forward_hooks, (hook, with_kwargs, always_call), prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_input, grad_output)`` when the gradients of the module's inputs have been computed.

        Parameters
        ----------
        hook : gets two tuples, with ``None`` for what is no tensor or has no gradient; returns ``None``, or gradients
            that replace ``grad_input``. It must not change its arguments.
        prepend : run before the hooks registered so far.
        """
        return register(self._backward_hooks, hook, prepend)

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_output)`` when the gradients of the module's outputs have arrived, before those of its
        inputs are computed.

        Parameters
        ----------
        hook : gets a tuple, with ``None`` for what is no tensor; returns ``None``, or gradients that replace it.
        prepend : run before the hooks registered so far.
        """
        return register(self._backward_pre_hooks, hook, prepend)

    def register_backward_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """torch's old hook, which saw the gradients of the last operation only. Not supported."""
        raise NotImplementedError("register_backward_hook is deprecated in torch; use register_full_backward_hook")

    # ------------------------------------------------------------------ modes and gradients

    def train(self, mode: bool = True) -> Self:
        """Set training mode for this module and all below it (dropout drops, batch norm uses the batch); returns self.

        Raises
        ------
        ValueError : ``mode`` is not a bool.
        """
        if not isinstance(mode, bool):
            raise ValueError(f"training mode is expected to be boolean, got {mode!r}")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self) -> Self:
        """Set evaluation mode: the same as ``train(False)``."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Freeze (``False``) or unfreeze every parameter, in place; returns self."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients of all parameters: to ``None``, or to zeros in place with ``set_to_none=False``."""
        for parameter in self.parameters():
            if set_to_none:
                parameter.grad = None
            elif parameter.grad is not None:
                parameter.grad = parameter.grad.detach()
                parameter.grad.zero_()

    # ------------------------------------------------------------------ conversion

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Call ``fn(module)`` for every module, children first, then this one; returns self."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Convert parameters and buffers, in place: ``to(dtype)``, ``to(device)``, ``to(device, dtype)``, ``to(x)``.

        Floating-point ones change dtype; integer ones (batch norm's counter) keep theirs. Parameters stay the same
        objects, so an optimizer made before still updates them.

        Raises
        ------
        TypeError : ``dtype`` is not a floating-point one.
        RuntimeError : the device is not there.

        >>> import minicnn as mc
        >>> mc.nn.Linear(2, 2).to(mc.float64).weight.dtype
        minicnn.float64
        """
        device, dtype = _parse_to(*args, **kwargs)
        if dtype is not None and not dtype.is_floating_point:
            raise TypeError(f"nn.Module.to only accepts floating point dtypes, but got desired dtype={dtype}")
        return self._apply(lambda tensor: _converted(tensor, device, dtype))

    def float(self) -> Self:
        """Convert floating-point parameters and buffers to float32."""
        return self.to(float32)

    def double(self) -> Self:
        """Convert floating-point parameters and buffers to float64."""
        return self.to(float64)

    def type(self, dst_type: DType) -> Self:
        """Convert all parameters and buffers, integer ones too, to ``dst_type``."""
        return self._apply(lambda tensor: tensor.to(dst_type))

    def half(self) -> Self:
        """Not supported: there is no half precision."""
        raise NotImplementedError("half(): half precision is not supported; float() and double() are")

    def bfloat16(self) -> Self:
        """Not supported: there is no half precision."""
        raise NotImplementedError("bfloat16(): half precision is not supported; float() and double() are")

    def to_empty(self, *, device: Any, recurse: bool = True) -> Self:
        """Move to a device without the values: parameters and buffers get fresh memory, with anything in it.

        Parameters
        ----------
        device : where to.
        recurse : the submodules too.
        """
        return self._apply(lambda tensor: empty_like(tensor).to(device), recurse)

    def share_memory(self) -> Self:
        """Not supported: tensors cannot be shared between processes."""
        raise NotImplementedError("share_memory(): processes cannot share tensors here; send a state_dict()")

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Not supported: compiling does not change a module here but returns another."""
        raise NotImplementedError("Module.compile(): use model = minicnn.compile(model), which shares the parameters")

    def cpu(self) -> Self:
        """Move to the CPU: nothing to do for a module that is there."""
        return self.to("cpu")

    def cuda(self, device: Any = None) -> Self:
        """Move to a GPU; raises the device's own error where there is none."""
        return self.to("cuda" if device is None else device)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Replace each tensor ``t`` below this module by ``fn(t)``; parameters stay the same objects."""
        for module in self.children() if recurse else ():
            module._apply(fn)
        with no_grad():
            for parameter in self._parameters.values():
                if parameter is None:
                    continue
                gradient = parameter.grad
                parameter.grad = None  # its dtype would not fit while the values change
                parameter.data = fn(parameter.detach())
                if gradient is not None:
                    parameter.grad = fn(gradient)
            for name, buffer in self._buffers.items():
                if buffer is not None:
                    self._buffers[name] = fn(buffer)
        return self

    # ------------------------------------------------------------------ printing and copying

    def extra_repr(self) -> str:
        """What ``repr`` shows between the parentheses; layers override it."""
        return ""

    def _get_name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        extra = self.extra_repr()
        extra_lines = extra.split("\n") if extra else []
        child_lines = [f"({name}): {_indented(repr(module))}" for name, module in self._modules.items()]
        if len(extra_lines) == 1 and not child_lines:
            return f"{self._get_name()}({extra})"
        if not extra_lines and not child_lines:
            return f"{self._get_name()}()"
        return "\n  ".join([f"{self._get_name()}(", *extra_lines, *child_lines]) + "\n)"

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for name in ("_backward_pre_hooks", *STATE_HOOKS):  # what an earlier version pickled lacks them
            self.__dict__.setdefault(name, OrderedDict())


def _parse_to(*args: Any, **kwargs: Any) -> tuple[Any, DType | None]:
    """``(device or None, dtype or None)`` from the forms that torch's ``to`` accepts."""
    device, dtype = kwargs.pop("device", None), kwargs.pop("dtype", None)
    kwargs.pop("non_blocking", None)  # copies are immediate here
    if kwargs.pop("memory_format", None) is not None:
        raise NotImplementedError(
            "to(memory_format=...) is not supported: minicnn chooses the memory order of images itself; leave it out"
        )
    if kwargs:
        raise TypeError(f"to() got an unexpected keyword argument '{next(iter(kwargs))}'")
    for argument in args:
        if isinstance(argument, Tensor):
            device, dtype = argument.device, argument.dtype
        elif isinstance(argument, DType):
            dtype = argument
        elif isinstance(argument, (str, Device)):
            device = argument
        elif argument is not None and not isinstance(argument, bool):  # the bool is non_blocking
            raise TypeError(f"to() takes a dtype, a device or a Tensor, got {argument!r}")
    return device, dtype


def _converted(tensor: Tensor, device: Any, dtype: DType | None) -> Tensor:
    if device is not None:
        tensor = tensor.to(device)
    return tensor.to(dtype) if dtype is not None and tensor.dtype.is_floating_point else tensor


def _indented(text: str) -> str:
    """Two more spaces before every line but the first."""
    return text.replace("\n", "\n  ")
