"""Networks for video clips: (n, 3, d, h, w), d frames.

>>> from minicnn.models import video
>>> type(video.r3d_18(num_classes=5)).__name__
'VideoResNet'
"""

from .resnet import (
    MC3_18_Weights,
    R2Plus1D_18_Weights,
    R3D_18_Weights,
    VideoResNet,
    mc3_18,
    r2plus1d_18,
    r3d_18,
)

__all__ = [
    "MC3_18_Weights",
    "R2Plus1D_18_Weights",
    "R3D_18_Weights",
    "VideoResNet",
    "mc3_18",
    "r2plus1d_18",
    "r3d_18",
]
