"""Transforms with torchvision's names, arguments and results.

- `basic.py`: Compose, ToTensor, Normalize, LinearTransformation, Lambda
- `conversion.py`: PILToTensor, ToPILImage, ConvertImageDtype
- `choosing.py`: RandomApply, RandomChoice, RandomOrder
- `resizing.py`, `cropping.py`, `padding.py`, `flips.py`: Resize, the crops (RandomResizedCrop), Pad, mirror images
- `random_geometry.py`, `warp.py`: RandomRotation, RandomAffine, and the arithmetic of turning and shifting pixels
- `colour.py`, `colour_arithmetic.py`, `blur.py`: ColorJitter, Grayscale, GaussianBlur
- `distortion.py`: RandomPerspective, ElasticTransform
- `tones.py`: RandomAdjustSharpness, RandomEqualize ...
- `auto_augment.py`, `auto_augment_policy.py`, `augmix.py`: RandAugment, TrivialAugmentWide; AutoAugment; AugMix
- `erasing.py`, `mixing.py`: RandomErasing; MixUp and CutMix of whole batches
- `functional.py`: all that is not random as functions
- `presets.py`: the presets of published weights
- `random_transform.py`, `batched.py`: what random transforms share; how a whole batch of tensors is transformed at once

They work on PIL images and on tensors (..., h, w), and draw only from :func:`minicnn.data.sample_generator`. What Pillow
computes for a PIL image in torchvision, Pillow computes here, to the pixel.
"""

from . import functional
from .augmix import AugMix
from .auto_augment import RandAugment, TrivialAugmentWide
from .auto_augment_policy import AutoAugment, AutoAugmentPolicy
from .basic import Compose, Lambda, LinearTransformation, Normalize, ToTensor
from .blur import GaussianBlur
from .choosing import RandomApply, RandomChoice, RandomOrder
from .colour import ColorJitter, Grayscale, RandomGrayscale
from .conversion import ConvertImageDtype, PILToTensor, ToDtype, ToImage, ToPILImage
from .cropping import CenterCrop, FiveCrop, RandomCrop, RandomResizedCrop, TenCrop
from .distortion import ElasticTransform, RandomPerspective
from .erasing import RandomErasing
from .flips import RandomHorizontalFlip, RandomVerticalFlip
from .mixing import CutMix, MixUp
from .padding import Pad
from .presets import ImageClassification, VideoClassification
from .random_geometry import RandomAffine, RandomRotation, digit_augmentation
from .resizing import Resize
from .tones import (
    RandomAdjustSharpness,
    RandomAutocontrast,
    RandomEqualize,
    RandomInvert,
    RandomPosterize,
    RandomSolarize,
)
from .warp import InterpolationMode

__all__ = [
    "AugMix",
    "AutoAugment",
    "AutoAugmentPolicy",
    "CenterCrop",
    "ColorJitter",
    "Compose",
    "ConvertImageDtype",
    "CutMix",
    "ElasticTransform",
    "FiveCrop",
    "GaussianBlur",
    "Grayscale",
    "ImageClassification",
    "InterpolationMode",
    "Lambda",
    "LinearTransformation",
    "MixUp",
    "Normalize",
    "PILToTensor",
    "Pad",
    "RandAugment",
    "RandomAdjustSharpness",
    "RandomAffine",
    "RandomApply",
    "RandomAutocontrast",
    "RandomChoice",
    "RandomCrop",
    "RandomEqualize",
    "RandomErasing",
    "RandomGrayscale",
    "RandomHorizontalFlip",
    "RandomInvert",
    "RandomOrder",
    "RandomPerspective",
    "RandomPosterize",
    "RandomResizedCrop",
    "RandomRotation",
    "RandomSolarize",
    "RandomVerticalFlip",
    "Resize",
    "TenCrop",
    "ToDtype",
    "ToImage",
    "ToPILImage",
    "ToTensor",
    "TrivialAugmentWide",
    "VideoClassification",
    "digit_augmentation",
    "functional",
]
