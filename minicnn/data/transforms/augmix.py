"""AugMix: an image mixed with several differently changed ones (Hendrycks et al. 2020, arXiv:1912.02781, algorithm 1).

    result = m_0 image + m_1 sum_i w_i chain_i(image),    m ~ Dirichlet(alpha, alpha), w ~ Dirichlet(alpha, ..., alpha)

A chain is one to three operations of `auto_augment.py` in turn, each of a strength below ``severity``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.autograd import Tensor
from minicnn.random import Generator

from ..randomness import sample_generator
from .auto_augment import Augment
from .conversion import PILToTensor, ToPILImage
from .cropping import height_and_width
from .mixing import log_gamma_variate
from .warp import InterpolationMode


class AugMix(Augment):
    """Robustness by mixing: for PIL images of modes L and RGB (which take the way of tensors, as in torchvision) and for
    uint8 tensors (..., 1 or 3, h, w).

    Parameters
    ----------
    severity : the operations' strengths, 1 to 10.
    mixture_width : how many chains.
    chain_depth : operations in each; -1 draws 1 to 3.
    alpha : of the Dirichlet distributions of weights.
    all_ops : with the operations that change brightness, colour, contrast and sharpness; the paper leaves them out, since
        its benchmark tests with them.
    interpolation, fill : of what turns and shifts, as in `RandomAffine`; None fills with black.

    >>> from PIL import Image
    >>> AugMix()(Image.new("RGB", (40, 30))).size
    (40, 30)
    """

    bits = 4

    def __init__(
        self,
        severity: int = 3,
        mixture_width: int = 3,
        chain_depth: int = -1,
        alpha: float = 1.0,
        all_ops: bool = True,
        interpolation: InterpolationMode | str = InterpolationMode.BILINEAR,
        fill: float | Sequence[float] | None = None,
    ):
        super().__init__(10, interpolation, fill)
        if not 1 <= severity <= 10:
            raise ValueError(f"severity: expected 1 to 10, got {severity}")
        if mixture_width < 1 or not alpha > 0:
            raise ValueError(f"mixture_width, alpha: expected at least 1 and more than 0, got {mixture_width}, {alpha}")
        self.severity, self.mixture_width, self.chain_depth = severity, mixture_width, chain_depth
        self.alpha, self.all_ops = alpha, all_ops

    def _strongest(self, h: int, w: int) -> dict[str, tuple[float, bool]]:
        table: dict[str, tuple[float, bool]] = {
            "ShearX": (0.3, True),
            "ShearY": (0.3, True),
            "TranslateX": (w / 3, True),
            "TranslateY": (h / 3, True),
            "Rotate": (30.0, True),
            "Posterize": (4, False),
            "Solarize": (255.0, False),
            "AutoContrast": (0.0, False),
            "Equalize": (0.0, False),
        }
        more = ("Brightness", "Color", "Contrast", "Sharpness") if self.all_ops else ()
        return table | dict.fromkeys(more, (0.9, True))

    def __call__(self, image: Any) -> Any:
        height_and_width(image, "AugMix")
        if not isinstance(image, Tensor):
            return ToPILImage(image.mode)(self._mixed(PILToTensor()(image)))
        return self._mixed(image)

    def _mixed(self, image: Tensor) -> Tensor:
        generator = sample_generator()
        n = math.prod(image.shape[:-3])
        whole = image._array.reshape(n, -1)  # (..., c, h, w) -> (n, c h w): each image has weights of its own
        share = _dirichlet(generator, self.alpha, (n, 2))
        weights = _dirichlet(generator, self.alpha, (n, self.mixture_width)) * share[:, 1:]
        mixed = share[:, :1] * whole
        for i in range(self.mixture_width):
            chain = image
            depth = self.chain_depth if self.chain_depth > 0 else int(generator.integers(1, 4, (1,))[0])
            for _ in range(depth):
                chain = self._step(chain, generator, int(generator.integers(0, self.severity, (1,))[0]))
            mixed += weights[:, i : i + 1] * chain._array.reshape(n, -1)
        return Tensor(mixed.astype(image._array.dtype).reshape(image.shape))

    def __repr__(self) -> str:
        return (
            f"AugMix(severity={self.severity}, mixture_width={self.mixture_width}, chain_depth={self.chain_depth}, "
            f"alpha={self.alpha}, all_ops={self.all_ops}, interpolation={self.interpolation}, fill={self.fill})"
        )


def _dirichlet(generator: Generator, alpha: float, shape: tuple[int, int]) -> np.ndarray:
    """Rows of weights that sum to one, float32: gamma variates over their sum."""
    logs = np.array([log_gamma_variate(generator, alpha) for _ in range(math.prod(shape))]).reshape(shape)
    weights = np.exp(logs - logs.max(axis=1, keepdims=True))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
