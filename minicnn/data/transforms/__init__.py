"""Transforms with torchvision's names, arguments and results, for digits and other small images.

- `basic.py`: Compose, ToTensor, Normalize, Lambda
- `random_geometry.py`: RandomCrop, RandomHorizontalFlip, RandomRotation, RandomAffine, and `digit_augmentation`
- `warp.py`: the arithmetic of turning and shifting pixels
- `batched.py`: how a whole batch of tensors is transformed at once

They work on PIL images and on tensors (..., h, w), and draw only from :func:`minicnn.data.sample_generator`.
"""

from .basic import Compose, Lambda, Normalize, ToTensor
from .random_geometry import (
    RandomAffine,
    RandomCrop,
    RandomHorizontalFlip,
    RandomRotation,
    digit_augmentation,
)
from .warp import InterpolationMode

__all__ = [
    "Compose",
    "InterpolationMode",
    "Lambda",
    "Normalize",
    "RandomAffine",
    "RandomCrop",
    "RandomHorizontalFlip",
    "RandomRotation",
    "ToTensor",
    "digit_augmentation",
]
