"""minicnn: a deep-learning framework written from scratch on NumPy.

>>> import minicnn as mc
>>> x = mc.tensor([1.0, 2.0, 3.0], requires_grad=True)
>>> (x ** 2).sum().backward()
>>> x.grad
tensor([2., 4., 6.])

Names, arguments and semantics are torch's: ``import minicnn as torch`` runs a tutorial. Where to look: ``autograd/``
(tensors and the walk back), ``ops/`` (differentiable functions), ``nn/`` (layers), ``optim/`` (update rules), ``data/``
(datasets and loaders), ``training/`` and ``cli/`` (the training loop and the commands). The loops are in the package
``minicnn_kernels``.
"""

import math as _math
import typing as _typing

from minicnn_kernels import conv_algorithm, set_exact_convolutions, use_backend
from minicnn_kernels.threads import get_num_threads, set_num_threads

from . import absent, accelerator, autograd, backends, cuda, nn, ops, random
from .autograd import (
    Size,
    Tensor,
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
    set_printoptions,
)
from .device import DeviceUnavailable, device
from .dtypes import (
    DType,
    can_cast,
    finfo,
    float32,
    float64,
    get_default_dtype,
    iinfo,
    int8,
    int16,
    int32,
    int64,
    promote_types,
    set_default_dtype,
    uint8,
)
from .dtypes import bool_ as bool
from .layout import (
    channels_last,
    channels_last_3d,
    contiguous_format,
    layout,
    memory_format,
    preserve_format,
    strided,
)
from .ops import *  # noqa: F403  every function of torch's own namespace: the list is ops.__all__
from .random import Generator, get_rng_state, initial_seed, manual_seed, seed, set_rng_state

float = float32
double = float64
long = int64
int = int32
short = int16
dtype = DType
inf, nan, pi, e, newaxis = _math.inf, _math.nan, _math.pi, _math.e, None

if _typing.TYPE_CHECKING:
    from . import compiler, data, datasets, models, optim, profiler, transforms, utils
    from .compiler import compile
    from .weights import load, save

__version__ = "0.1.0"

_LATER = ("compiler", "data", "datasets", "models", "optim", "profiler", "transforms", "utils")


def __getattr__(name: str) -> _typing.Any:
    """The packages that not every program needs are imported at their first use: half of the time of ``import minicnn``."""
    from importlib import import_module

    if name == "compile":
        return import_module(".compiler", __name__).compile
    if name in ("load", "save"):
        return getattr(import_module(".weights", __name__), name)
    if name in _LATER:
        return import_module(f".{name}", __name__)
    raise absent.refuse(__name__, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER, "compile", "load", "save"})


__all__ = [name for name in __dir__() if not name.startswith("_")]
