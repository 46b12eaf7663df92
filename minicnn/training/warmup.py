"""Filling the compile cache, so that no first step has to wait for the compiler.

Numba compiles a kernel when it is first called, so the way to have all kernels of a training compiled is to train: each
job here is one real step on noise, of the sizes that ``minicnn train`` takes. What is in the cache already is only loaded.
Where the cache is and why: ``minicnn_kernels/compile_cache.py``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import minicnn as mc
from minicnn_kernels import compile_cache_status, use_backend

from .. import optim
from ..autograd import Tensor, no_grad
from ..dtypes import DType
from ..models import SMALL, get_model
from ..nn import (
    GELU,
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    GroupNorm,
    Hardsigmoid,
    Hardswish,
    Identity,
    LayerNorm,
    LeakyReLU,
    Linear,
    LogSoftmax,
    MaxPool2d,
    Module,
    ReLU,
    ReLU6,
    RMSNorm,
    Sequential,
    Sigmoid,
    SiLU,
    Softmax,
    Tanh,
    TransformerEncoderLayer,
)
from ..nn import functional as F
from ..random import Generator, default_generator

IMAGE = (1, 28, 28)
TRAIN_BATCH, TEST_BATCH = 64, 256  # of the recipe

Job = tuple[str, Callable[[], object]]


class WarmUpError(RuntimeError):
    """Nothing can be compiled; the message says why."""


class CacheSize(NamedTuple):
    """What lies in the compile cache's folder."""

    files: int
    bytes: int


class WarmUp(NamedTuple):
    """What :func:`warm_up` did.

    Attributes
    ----------
    seconds : wall-clock time. jobs : how many pieces of work were done.
    folder : the cache's. before, after : its size. persistent : whether later processes will find it.
    """

    seconds: float
    jobs: int
    folder: Path
    before: CacheSize
    after: CacheSize
    persistent: bool

    @property
    def new_files(self) -> int:
        """How many files came; 0 where everything had been compiled before."""
        return self.after.files - self.before.files


def cache_size(folder: Path) -> CacheSize:
    """Number and bytes of the files in a folder and those below it.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "a").write_bytes(b"12345")
    >>> cache_size(folder)
    CacheSize(files=1, bytes=5)
    """
    sizes = [file.stat().st_size for file in folder.rglob("*") if file.is_file()]
    return CacheSize(len(sizes), sum(sizes))


def warm_up(
    models: Iterable[str] | None = None,
    dtypes: Iterable[DType] = (mc.float32,),
    *,
    layers: bool = False,
    on_job: Callable[[int, int, str], None] | None = None,
) -> WarmUp:
    """Compile the kernels that training, evaluating and asking the models needs, forward and backward, or load them.

    The models are run compiled (``mc.compile``) and not, with every optimiser. The state of the default random generator
    is left as it was. The compiled back end is warmed, whatever back end is in use.

    Parameters
    ----------
    models : names among ``minicnn.models.SMALL``; None for all.
    dtypes : in which floating-point types.
    layers : also the kernels of layers that no ready-made model has: convolutions with strides, groups and many channels,
        pools that overlap, ...
    on_job : ``on_job(done, total, name)`` is called before each piece of work, and once at the end.

    Raises
    ------
    ValueError : an unknown model. TypeError : a dtype that is not floating point.
    WarmUpError : Numba's ``NUMBA_DISABLE_JIT`` is set: nothing would be compiled.

    >>> done = warm_up(["mlp"])
    >>> done.after.files >= done.before.files, done.jobs
    (True, 5)
    """
    names = sorted(SMALL) if models is None else list(models)
    wanted = list(dtypes)
    for name in names:
        if name not in SMALL:
            raise ValueError(f"models: {name!r} is not known; expected some of {', '.join(sorted(SMALL))}")
    for dtype in wanted:
        if not (isinstance(dtype, DType) and dtype.is_floating_point):
            raise TypeError(f"dtypes: expected minicnn.float32 or minicnn.float64, got {dtype!r}")
    start = time.perf_counter()
    status = compile_cache_status()
    before = cache_size(status.folder)
    generator_state = default_generator.get_state()
    with use_backend("cpu"):
        from minicnn_kernels.cpu.jit import DISABLED

        if DISABLED:
            raise WarmUpError("the environment variable NUMBA_DISABLE_JIT is set, so nothing is compiled: unset it")
        jobs: list[Job] = [("random numbers", _draw)] if names else []
        for dtype in wanted:
            for name in names:
                jobs += _model_jobs(name, dtype)
            if layers:
                jobs += _layer_jobs(dtype)
        try:
            for done, (name, work) in enumerate(jobs):
                if on_job is not None:
                    on_job(done, len(jobs), name)
                work()
        finally:
            default_generator.set_state(generator_state)
    if on_job is not None:
        on_job(len(jobs), len(jobs), "")
    seconds = time.perf_counter() - start
    return WarmUp(seconds, len(jobs), status.folder, before, cache_size(status.folder), status.persistent)


def _draw() -> None:
    """What orders and augmentations draw from."""
    mc.randperm(1000, generator=Generator().manual_seed(0))


def _model_jobs(name: str, dtype: DType) -> Iterator[Job]:
    model = get_model(name).to(dtype)
    compiled = mc.compile(model)
    for kind, network in (("", model), (" (compiled)", compiled)):
        what = f"{name} {dtype.name}{kind}"
        yield f"{what}: training", partial(_train, network, dtype)
        yield f"{what}: evaluation and prediction", partial(_evaluate, network, dtype)


def _train(network: Module, dtype: DType) -> None:
    """One step with each of the optimisers; the last one with a smaller batch, such as an epoch may end with."""
    network.train()
    x = _noise(TRAIN_BATCH, dtype)
    parameters = list(network.parameters())
    for images, optimizer in (
        (x, optim.Adam(parameters)),
        (x, optim.SGD(parameters, lr=1e-3, momentum=0.9)),
        (x, optim.SGD(parameters, lr=1e-3)),
        (x[:7], optim.AdamW(parameters)),
    ):
        labels = mc.zeros(len(images), dtype=mc.int64)
        optimizer.zero_grad()
        F.cross_entropy(network(images), labels).backward()
        optimizer.step()


def _evaluate(network: Module, dtype: DType) -> None:
    network.eval()
    with no_grad():
        for size in (TEST_BATCH, 1):
            F.softmax(network(_noise(size, dtype)), dim=1)


def _noise(n: int, dtype: DType, shape: tuple[int, ...] = IMAGE) -> Tensor:
    return mc.randn(n, *shape, dtype=dtype, generator=Generator().manual_seed(0))


class _Residual(Module):
    """A convolution beside which its input goes round."""

    def __init__(self, norm: Module):
        super().__init__()
        self.conv, self.norm = Conv2d(16, 16, 3, padding=1), norm

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(x)) + x)


def _layer_jobs(dtype: DType) -> Iterator[Job]:
    """Chains of layers that together call every kernel, and the updates that the ready-made recipes leave out."""
    chains: dict[str, tuple[tuple[int, ...], list[Module]]] = {
        "convolutions with few channels": (
            (8, 14, 14),
            [
                Conv2d(8, 8, 3, stride=2),
                Conv2d(8, 8, 3, dilation=2),
                Conv2d(8, 8, 1),
                Conv2d(8, 8, 2, groups=2),
                ReLU(),
            ],
        ),
        "convolutions with many channels": (
            (64, 12, 12),
            [
                *(Conv2d(64, 64, 3, padding=1), ReLU(), Conv2d(64, 64, 5, padding=2), BatchNorm2d(64), ReLU()),
                *(Conv2d(64, 48, 3, stride=2), Conv2d(48, 48, 1)),
                *(Conv2d(48, 96, 2), Conv2d(96, 96, 3, padding=1)),  # few pixels, many filters
            ],
        ),
        "depthwise convolutions": ((16, 9, 9), [Conv2d(16, 16, 3, groups=16), Conv2d(16, 16, 3, 2, groups=16)]),
        "pooling": ((4, 13, 13), [MaxPool2d(3, 2, 1), AvgPool2d(3, 2, 1), BatchNorm2d(4), ReLU(), MaxPool2d(3, 2)]),
        "residual blocks": ((16, 9, 9), [_Residual(BatchNorm2d(16)), _Residual(Identity())]),
        "activations": (
            (8, 9, 9),
            [SiLU(), GELU(), GELU("tanh"), Hardswish(), Hardsigmoid(), ReLU6(), LeakyReLU()],
        ),
        "normalisation": ((8, 9, 9), [GroupNorm(2, 8), LayerNorm(9), RMSNorm(9)]),
        "layers on vectors": (
            (40,),
            [
                *(
                    Linear(40, 24),
                    BatchNorm1d(24),
                    ReLU(),
                    Dropout(0.5),
                    Tanh(),
                    Dropout(0.5),
                    Sigmoid(),
                    Linear(24, 8),
                ),
                *(Tanh(), ReLU(), Dropout(0.5), Softmax(dim=1), LogSoftmax(dim=1)),
            ],
        ),
    }
    for name, (shape, chain) in chains.items():
        yield f"{name} {dtype.name}", partial(_chain, chain, shape, dtype)
    yield f"matrix products, losses and optimisers {dtype.name}", partial(_the_rest, dtype)
    yield f"resampling, selection and special functions {dtype.name}", partial(_on_tensors, dtype)
    yield f"inference {dtype.name}", partial(_inference, dtype)


def _chain(chain: list[Module], shape: tuple[int, ...], dtype: DType) -> None:
    model = Sequential(*chain, Flatten()).to(dtype)
    for network in (model, mc.compile(model)):
        x = _noise(6, dtype, shape).requires_grad_()
        network.train()
        network(x).sum().backward()
        network.eval()
        network(x).sum().backward()  # fine-tuning with frozen statistics
        with no_grad():
            network(x)


def _the_rest(dtype: DType) -> None:
    x = _noise(9, dtype, (9,)).requires_grad_()
    y = x @ x.T
    loss = F.mse_loss(y, mc.zeros_like(y)) + F.nll_loss(F.log_softmax(y, dim=1), mc.zeros(9, dtype=mc.int64))
    loss.backward()
    x.detach()[:1] @ y.detach()  # one row has a loop of its own
    sequence = F.log_softmax(_noise(6, dtype, (1, 4)), dim=2).requires_grad_()
    F.ctc_loss(sequence, mc.tensor([[1, 2]]), mc.tensor([6]), mc.tensor([2])).backward()
    image = _noise(2, dtype, (3, 8, 8)).requires_grad_()
    F.fold(F.unfold(image, 3), 8, 3).sum().backward()
    parameter = mc.nn.Parameter(mc.zeros(4, dtype=dtype))
    parameter.grad = mc.ones(4, dtype=dtype)
    optim.Adam([parameter], amsgrad=True).step()
    for name in ("Adadelta", "Adagrad", "Adamax", "ASGD", "NAdam", "RAdam", "RMSprop", "Rprop"):
        getattr(optim, name)([parameter]).step()


def _on_tensors(dtype: DType) -> None:
    image, places = _noise(2, dtype, (3, 8, 8)).requires_grad_(), _noise(2, dtype, (4, 4, 2)).requires_grad_()
    F.interpolate(image, size=(5, 9), mode="bicubic").sum().backward()
    F.grid_sample(image, places, align_corners=False).sum().backward()
    rows = _noise(4, dtype, (50,))
    rows.topk(30)
    rows.kthvalue(20)
    matrices = _noise(6, dtype, (5, 3))
    matrices @ matrices.mT
    x = (rows.abs() + 0.1).requires_grad_()
    functions = (mc.erf, mc.erfc, mc.lgamma, mc.digamma)
    sum(function(x).sum() for function in functions).backward()
    mc.erfinv(rows.tanh() * 0.9)


def _inference(dtype: DType) -> None:
    """What plans without gradients call and training does not: a gate, attention, few pixels with many filters, strides."""
    for model, shape in (
        (get_model("mobilenet_v3_small"), (3, 64, 64)),
        (TransformerEncoderLayer(32, 2, 48, batch_first=True), (21, 32)),
        (Conv2d(256, 320, 3, stride=2), (256, 5, 5)),
        (Conv2d(8, 16, 3, stride=2), (8, 9, 9)),
    ):
        with no_grad():
            model.to(dtype).eval()
            x = _noise(2, dtype, shape)
            for network in (model, mc.compile(model)):
                network(x)
