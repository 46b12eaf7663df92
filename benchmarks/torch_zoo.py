"""The zoo's models in PyTorch: the files of ``minicnn/models``, imported once more with ``torch.nn`` as their ``nn``.

The zoo is written against names that PyTorch has too (layers, ``init``, methods of tensors), and imports them relatively:
``from ..nn import Conv2d``. So a package whose ``nn`` is ``torch.nn`` and whose ``models`` lies in the same folder is a zoo
of PyTorch modules, with the same layers in the same order and the same names of parameters. (torchvision's models are
written with the same layers; it need not be installed.)
"""

from __future__ import annotations

import importlib
import sys
from functools import cache
from types import ModuleType
from typing import Any

_PACKAGE = f"{__package__}.minicnn_of_torch"


@cache
def _package() -> str:
    """Puts together the package; its name."""
    import torch

    import minicnn.models

    package, models, autograd = (ModuleType(_PACKAGE + name) for name in ("", ".models", ".autograd"))
    package.__path__ = []
    models.__path__ = list(minicnn.models.__path__)
    autograd.Tensor = torch.Tensor  # type: ignore[attr-defined]
    parts = {"": package, ".models": models, ".autograd": autograd, ".nn": torch.nn, ".ops": torch}
    parts |= {".nn.functional": torch.nn.functional, ".models.published": minicnn.models.published}
    package.ops = torch  # type: ignore[attr-defined]  (``from .. import ops``)
    sys.modules.update({_PACKAGE + name: part for name, part in parts.items()})
    return _PACKAGE


def builder(name: str) -> Any:
    """``minicnn.models.NAME``, building a ``torch.nn.Module``."""
    import minicnn.models

    file = getattr(minicnn.models, name).__module__.rpartition(".")[2]
    return getattr(importlib.import_module(f"{_package()}.models.{file}"), name)
