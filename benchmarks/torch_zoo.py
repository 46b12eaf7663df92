"""The zoo's models in PyTorch: the files of ``minicnn/models``, imported once more with ``torch.nn`` as their ``nn``.

The zoo is written against names that PyTorch has too (layers, ``init``, methods of tensors), and imports them relatively:
``from ..nn import Conv2d``. So a package whose ``nn`` is ``torch.nn`` and whose ``models`` lies in the same folder is a zoo
of PyTorch modules, with the same layers in the same order and the same names of parameters. (torchvision's models are
written with the same layers; it need not be installed.) Of the functions that the zoo uses, PyTorch lacks stochastic depth.
"""

from __future__ import annotations

import importlib
import sys
from functools import cache
from types import ModuleType
from typing import Any

_PACKAGE = f"{__package__}.minicnn_of_torch"


def _stochastic_depth(x: Any, p: float, mode: str, training: bool = True) -> Any:
    """Each row of the batch, or all of it, dropped with probability p, and what is left scaled by 1 / (1 - p)."""
    if not training or p == 0:
        return x
    shape = (len(x) if mode == "row" else 1, *(1,) * (x.ndim - 1))
    return x * x.new_empty(shape).bernoulli_(1 - p) / (1 - p)


@cache
def _package() -> str:
    """Puts together the package; its name."""
    import torch

    import minicnn.models

    names = ("", ".models", ".autograd", ".ops.dropout")
    package, models, autograd, dropout = (ModuleType(_PACKAGE + name) for name in names)
    package.__path__ = []
    models.__path__ = list(minicnn.models.__path__)
    autograd.Tensor = torch.Tensor  # type: ignore[attr-defined]
    dropout.stochastic_depth = _stochastic_depth  # type: ignore[attr-defined]
    parts = {
        "": package,
        ".models": models,
        ".autograd": autograd,
        ".nn": torch.nn,
        ".ops": torch,
        ".ops.dropout": dropout,
    }
    parts |= {".nn.functional": torch.nn.functional, ".models.published": minicnn.models.published}
    package.ops = torch  # type: ignore[attr-defined]  (``from .. import ops``)
    sys.modules.update({_PACKAGE + name: part for name, part in parts.items()})
    return _PACKAGE


def builder(name: str) -> Any:
    """``minicnn.models.NAME``, building a ``torch.nn.Module``."""
    import minicnn.models

    file = getattr(minicnn.models, name).__module__.rpartition(".")[2]
    return getattr(importlib.import_module(f"{_package()}.models.{file}"), name)
