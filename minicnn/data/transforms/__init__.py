"""Transforms with torchvision's names, arguments and results, for digits and other small images.

- `basic.py`: Compose, ToTensor, Normalize, Lambda
- `random_geometry.py`: RandomCrop, RandomHorizontalFlip, RandomRotation, RandomAffine, and `digit_augmentation`
- `resizing.py`: Resize, CenterCrop, and the presets of published weights
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
from .resizing import CenterCrop, ImageClassification, Resize, VideoClassification
from .warp import InterpolationMode

__all__ = [
    "CenterCrop",
    "Compose",
    "ImageClassification",
    "InterpolationMode",
    "Lambda",
    "Normalize",
    "RandomAffine",
    "RandomCrop",
    "RandomHorizontalFlip",
    "RandomRotation",
    "Resize",
    "ToTensor",
    "VideoClassification",
    "digit_augmentation",
]
