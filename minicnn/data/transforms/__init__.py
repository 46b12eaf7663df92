"""Transforms with torchvision's names, arguments and results.

- `basic.py`: Compose, ToTensor, Normalize, Lambda
- `resizing.py`, `cropping.py`, `padding.py`, `flips.py`: Resize, the crops (RandomResizedCrop), Pad, mirror images
- `random_geometry.py`, `warp.py`: RandomRotation, RandomAffine, and the arithmetic of turning and shifting pixels
- `colour.py`, `colour_arithmetic.py`: ColorJitter, Grayscale
- `presets.py`: the presets of published weights
- `random_transform.py`, `batched.py`: what random transforms share; how a whole batch of tensors is transformed at once

They work on PIL images and on tensors (..., h, w), and draw only from :func:`minicnn.data.sample_generator`. What Pillow
computes for a PIL image in torchvision, Pillow computes here, to the pixel.
"""

from .basic import Compose, Lambda, Normalize, ToTensor
from .colour import ColorJitter, Grayscale, RandomGrayscale
from .cropping import CenterCrop, FiveCrop, RandomCrop, RandomResizedCrop, TenCrop
from .flips import RandomHorizontalFlip, RandomVerticalFlip
from .padding import Pad
from .presets import ImageClassification, VideoClassification
from .random_geometry import RandomAffine, RandomRotation, digit_augmentation
from .resizing import Resize
from .warp import InterpolationMode

__all__ = [
    "CenterCrop",
    "ColorJitter",
    "Compose",
    "FiveCrop",
    "Grayscale",
    "ImageClassification",
    "InterpolationMode",
    "Lambda",
    "Normalize",
    "Pad",
    "RandomAffine",
    "RandomCrop",
    "RandomGrayscale",
    "RandomHorizontalFlip",
    "RandomResizedCrop",
    "RandomRotation",
    "RandomVerticalFlip",
    "Resize",
    "TenCrop",
    "ToTensor",
    "VideoClassification",
    "digit_augmentation",
]
