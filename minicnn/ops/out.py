"""``out=``: a function's result written into a tensor that is there already, as torch's functions offer it.

No rule below knows of ``out``: :func:`takes_out` adds the argument to a finished function, once for all of them
(``ops/__init__.py`` says which). An ``out`` with no elements takes the result's shape; any other shape is an error here,
where torch warns and changes it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

from ..autograd import Tensor, is_grad_enabled

# Functions of torch's own namespace that take ``out`` there.
WITH_OUT = """
    abs absolute acos acosh add addbmm addcdiv addcmul addmm addmv addr all amax amin aminmax any arange arccos
    arccosh arcsin arcsinh arctan arctan2 arctanh argmax argmin argsort asin asinh atan atan2 atanh baddbmm
    bernoulli bitwise_and bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor bmm
    bucketize cat ceil chain_matmul clamp clamp_max clamp_min clip column_stack concat concatenate copysign cos
    cosh cross cummax cummin cumprod cumsum deg2rad diag diagonal_copy diff digamma div divide dot dstack empty
    eq erf erfc erfinv exp exp2 expand_copy expm1 eye fix float_power floor floor_divide fmax fmin fmod frac
    full gather gcd ge ger greater greater_equal gt hardshrink heaviside histc hstack hypot index_add index_copy
    index_reduce index_select inner isin isneginf isposinf kron kthvalue lcm ldexp le lerp less less_equal
    lgamma linspace log log10 log1p log2 log_softmax logaddexp logaddexp2 logcumsumexp logical_and logical_not
    logical_or logical_xor logit logspace logsumexp lt masked_select matmul max maximum mean median min minimum
    mm mode msort mul multinomial multiply mv nan_to_num nanmean nanmedian nanquantile nansum narrow_copy ne neg
    negative nextafter nonzero norm normal not_equal ones outer permute_copy pow prod quantile rad2deg rand randint randn
    randperm reciprocal remainder renorm round row_stack rsqrt scatter scatter_add scatter_reduce searchsorted
    select_copy sgn sigmoid sign signbit sin sinc sinh softmax sort sqrt square squeeze_copy stack std sub
    subtract sum take take_along_dim tan tanh tensordot threshold topk transpose_copy tril triu true_divide
    trunc unsqueeze_copy var vdot vstack where xlogy zeros
    frexp
"""

F = TypeVar("F", bound=Callable[..., Any])


def takes_out(function: F) -> F:
    """The function with one more argument, ``out``: a tensor (or, where it returns several, a tuple of them) to write into.

    >>> import minicnn as mc
    >>> out = mc.empty(2)
    >>> mc.add(mc.tensor([1.0, 2.0]), 1, out=out) is out, out
    (True, tensor([2., 3.]))
    """

    @functools.wraps(function)
    def with_out(*args: Any, out: Any = None, **options: Any) -> Any:
        result = function(*args, **options)
        return result if out is None else place(result, out, function.__name__)

    signature = inspect.signature(function)
    parameters = list(signature.parameters.values())
    at = len(parameters) - (bool(parameters) and parameters[-1].kind is inspect.Parameter.VAR_KEYWORD)
    parameters.insert(at, inspect.Parameter("out", inspect.Parameter.KEYWORD_ONLY, default=None))
    with_out.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return cast(F, with_out)


def place(result: Any, out: Any, name: str) -> Any:
    """Write ``result`` into ``out`` and return ``out``.

    Raises
    ------
    TypeError : an ``out`` that is no tensor, or of a type that the result cannot be written into.
    ValueError : an ``out`` of another shape, or one that shows the same memory several times (``expand``).
    RuntimeError : a result or an ``out`` that wants a gradient: what is written has no history.
    """
    if isinstance(result, tuple):
        if not isinstance(out, (tuple, list)) or len(out) != len(result):
            raise TypeError(
                f"out: {name} returns {len(result)} tensors; give a tuple of as many, got {type(out).__name__}"
            )
        return tuple(place(r, o, name) for r, o in zip(result, out, strict=True))
    if not isinstance(out, Tensor):
        raise TypeError(f"out: {name} writes into a Tensor, got {type(out).__name__}")
    if is_grad_enabled() and (result.requires_grad or out.requires_grad):
        raise RuntimeError(f"out: what {name} writes has no history; leave out= away, or use mc.no_grad()")
    if any(step == 0 and n > 1 for n, step in zip(out.shape, out.stride(), strict=True)):
        raise ValueError(
            f"out: the tensor that {name} should write into shows the same memory several times; clone() it"
        )
    if result.dtype.category > out.dtype.category:
        raise TypeError(f"out: a {result.dtype} result of {name} cannot be written into a {out.dtype} tensor")
    if out.numel() == 0 and out.shape != result.shape:
        out.data = result.to(out.dtype)
        return out
    if out.shape != result.shape:
        raise ValueError(
            f"out: {name} gives shape {tuple(result.shape)}, got a tensor of shape {tuple(out.shape)}; give one of that "
            "shape, or an empty one"
        )
    return out.copy_(result.detach())
