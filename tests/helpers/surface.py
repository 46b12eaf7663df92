"""The names of torch that are compared, by group: what the coverage page lists and the signature tests go through."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.utils import parametrizations, parametrize

import minicnn as mc
from minicnn import nn, optim
from tests.helpers import torch_signatures


@dataclass(frozen=True)
class Group:
    """Names that live in one place in torch, and where they live here."""

    title: str
    kind: str
    theirs: Any
    ours: Any
    names: tuple[str, ...]

    def __iter__(self) -> Iterator[tuple[str, Any, Any]]:
        """(name, torch's, ours or None)."""
        for name in self.names:
            try:
                yield name, getattr(self.theirs, name), getattr(self.ours, name, None)
            except AttributeError:
                continue


def _public(names: Any) -> tuple[str, ...]:
    return tuple(sorted({name for name in names if not name.startswith("_")}))


def _defined_in(module: Any, kinds: Any) -> tuple[str, ...]:
    return _public(
        name
        for name, value in vars(module).items()
        if kinds(value)
        and getattr(value, "__module__", "").startswith(("torch.nn", "torch.optim", "torch._C", "torch.autograd"))
    )


MORE_FUNCTIONS = """
    arange as_tensor eye from_numpy full linspace load save manual_seed no_grad enable_grad inference_mode set_grad_enabled
    is_grad_enabled is_tensor set_default_dtype get_default_dtype set_num_threads get_num_threads get_rng_state set_rng_state
    finfo iinfo compile Generator Size Tensor device dtype set_printoptions from_dlpack seed initial_seed typename
"""
RNN = """
    PackedSequence pack_padded_sequence pack_sequence pad_packed_sequence pad_sequence unpad_sequence unpack_sequence
"""
AVERAGES = (
    "AveragedModel",
    "SWALR",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
)
DIFFERENTIATION = """
    Function backward grad gradcheck gradgradcheck no_grad enable_grad set_grad_enabled inference_mode detect_anomaly
    set_detect_anomaly
"""


def groups() -> list[Group]:
    """All groups, in the order of the page."""
    functions = _public(
        [n for n in torch_signatures._functions("_VariableFunctions.pyi") if hasattr(torch, n)]
        + torch.functional.__all__
        + MORE_FUNCTIONS.split()
    )
    methods = _public(n for n in torch_signatures._methods() if hasattr(torch.Tensor, n))
    in_functional = _defined_in(torch.nn.functional, callable)
    modules = tuple(sorted([*torch.nn.modules.__all__, "Parameter", "ParameterList", "ParameterDict"]))
    in_init = _public(n for n in vars(torch.nn.init) if n.endswith("_") or n == "calculate_gain")
    in_utils = _defined_in(torch.nn.utils, callable)
    optimizers = _public(n for n, v in vars(torch.optim).items() if inspect.isclass(v))
    schedules = _public(torch.optim.lr_scheduler.__all__)
    return [
        Group("torch", "function", torch, mc, functions),
        Group("torch.Tensor", "method", torch.Tensor, mc.Tensor, methods),
        Group("torch.nn.functional", "nn", torch.nn.functional, nn.functional, in_functional),
        Group("torch.nn", "python", torch.nn, nn, modules),
        Group("torch.nn.init", "python", torch.nn.init, nn.init, in_init),
        Group("torch.nn.utils", "python", torch.nn.utils, nn.utils, in_utils),
        Group("torch.nn.utils.rnn", "python", torch.nn.utils.rnn, getattr(nn.utils, "rnn", None), tuple(RNN.split())),
        Group(
            "torch.nn.utils.parametrizations", "python", parametrizations, getattr(nn.utils, "parametrizations", None),
            ("orthogonal", "spectral_norm", "weight_norm"),
        ),
        Group(
            "torch.nn.utils.parametrize", "python", parametrize, getattr(nn.utils, "parametrize", None),
            ("cached", "is_parametrized", "register_parametrization", "remove_parametrizations"),
        ),
        Group("torch.optim", "python", torch.optim, optim, optimizers),
        Group("torch.optim.lr_scheduler", "python", torch.optim.lr_scheduler, optim.lr_scheduler, schedules),
        Group("torch.optim.swa_utils", "python", torch.optim.swa_utils, getattr(optim, "swa_utils", None), AVERAGES),
        Group("torch.autograd", "python", torch.autograd, mc.autograd, tuple(DIFFERENTIATION.split())),
        Group(
            "torch.autograd.functional", "python", torch.autograd.functional, getattr(mc.autograd, "functional", None),
            ("jacobian", "hessian", "vjp", "jvp", "hvp", "vhp"),
        ),
        Group(
            "torch.utils.checkpoint", "python", torch.utils.checkpoint, getattr(mc.utils, "checkpoint", None),
            ("checkpoint", "checkpoint_sequential"),
        ),
    ]  # fmt: skip


# Names whose calls are not all possible, and what is different. The page of coverage says it to users.
SIGNATURES = {
    "torch.Tensor.dsplit": "the indices come as one sequence",
    "torch.Tensor.hsplit": "the indices come as one sequence",
    "torch.Tensor.vsplit": "the indices come as one sequence",
    "torch.Size": "the stub is that of tuple",
    "torch.dtype": "types are not made by users",
    "torch.linspace": "steps has no default, which torch has deprecated",
    "torch.logspace": "steps has no default, which torch has deprecated",
    "torch.frombuffer": "dtype has no default in torch's documentation",
    "torch.result_type": "its arguments go by position",
    "torch.rrelu": "it draws from the default generator",
    "torch.save": "there is no pickle module to choose",
    "torch.Tensor.copy_": "the source is called src, as in torch's documentation",
    "torch.Tensor.cuda": "there is no GPU back end: it raises",
    "torch.Tensor.is_set_to": "its argument goes by position",
    "torch.Tensor.map_": "its arguments go by position",
    "torch.Tensor.is_pinned": "there is one kind of memory",
    "torch.Tensor.new_tensor": "what follows data goes by name, as in torch's documentation",
    "torch.Tensor.requires_grad_": "its argument is called requires_grad, as in torch's documentation",
    "torch.alpha_dropout": "the third argument is called training, as in torch.nn.functional",
    "torch.feature_alpha_dropout": "the third argument is called training, as in torch.nn.functional",
    "torch.from_dlpack": "there is one device",
    "torch.nn.functional.scaled_dot_product_attention": "scale and enable_gqa go by name, as in torch's documentation",
    "torch.nn.utils.rnn.PackedSequence": "batch_sizes has no default: pack_padded_sequence makes one",
    "torch.nn.functional.normalize": "it has no out",
    "torch.norm": "it has no out before dtype",
    "torch.tensor": "what follows data goes by name, as in torch's documentation",
    "torch.tril_indices": "indices want no gradient",
    "torch.triu_indices": "indices want no gradient",
    "torch.nn.functional.gelu": "approximate goes by name, as in torch's documentation",
}

# Names whose results or rules are not quite torch's, and how.
_MISSING_DIM = "`dim` has to be given; torch guesses one, with a warning"
_TIES = "which of several equal elements comes is torch's choice only with `stable=True`"
BEHAVIOUR = {
    "torch.softmax": _MISSING_DIM,
    "torch.log_softmax": _MISSING_DIM,
    "torch.nn.functional.softmax": _MISSING_DIM,
    "torch.nn.functional.softmin": _MISSING_DIM,
    "torch.nn.functional.log_softmax": _MISSING_DIM,
    "torch.sort": _TIES,
    "torch.argsort": _TIES,
    "torch.topk": "the index of one of several equal elements may be another one's",
    "torch.mode": "the index of one of several equal elements may be another one's",
    "torch.cdist": "differences are always taken themselves: exact, and larger in memory for large inputs",
    "torch.compile": "fuses by a short list of patterns; no back end or mode to choose",
    "torch.load": "never runs code: `weights_only=False` and `pickle_module` are refused",
    "torch.Tensor.view": "`view(dtype)` is refused: convert with `to(dtype)`",
    "torch.Tensor.resize_": "memory that others look at is refused",
    "torch.Tensor.sort": _TIES,
    "torch.Tensor.argsort": _TIES,
    "torch.Tensor.topk": "the index of one of several equal elements may be another one's",
    "torch.Tensor.mode": "the index of one of several equal elements may be another one's",
    "torch.nn.functional.embedding_bag": "`scale_grad_by_freq` divides by a row's own frequency, torch by another's",
    "torch.nn.functional.embedding": "`sparse=True` is refused: gradients are dense",
    "torch.nn.Embedding": "`sparse=True` is refused: gradients are dense",
    "torch.nn.SyncBatchNorm": "raises: use BatchNorm1d, BatchNorm2d or BatchNorm3d",
    "torch.nn.CrossMapLRN2d": "raises: use LocalResponseNorm",
    "torch.nn.TransformerEncoder": "has no nested tensors: padded places are computed in evaluation, not zero",
    "torch.optim.SparseAdam": "raises: use Adam",
    "torch.optim.Muon": "iterates in the parameters' type, torch in bfloat16",
    "torch.autograd.gradcheck": "compares one random cotangent",
    "torch.autograd.gradgradcheck": "raises: gradients of gradients are not supported",
    "torch.autograd.inference_mode": "is `no_grad`",
    "torch.inference_mode": "is `no_grad`",
    "torch.autograd.functional.hessian": "raises: gradients of gradients are not supported",
    "torch.autograd.functional.hvp": "raises: gradients of gradients are not supported",
    "torch.autograd.functional.vhp": "raises: gradients of gradients are not supported",
    "torch.autograd.functional.jvp": "is computed from the whole Jacobian",
    "torch.utils.checkpoint.checkpoint": "`use_reentrant=True` works with `grad()` too; both recompute in the same way",
}
