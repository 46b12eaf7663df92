"""torch's conversions of weights to channels-last memory: nothing to do here."""

from __future__ import annotations

from typing import Any, TypeVar

from minicnn.nn.module import Module

AnyModule = TypeVar("AnyModule", bound=Module)


def convert_conv2d_weight_memory_format(module: AnyModule, memory_format: Any) -> AnyModule:
    """Returns ``module`` as it is: minicnn chooses the memory order of images and filters itself."""
    return module


def convert_conv3d_weight_memory_format(module: AnyModule, memory_format: Any) -> AnyModule:
    """Returns ``module`` as it is: minicnn chooses the memory order of images and filters itself."""
    return module
