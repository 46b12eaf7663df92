"""Ready-made networks, one file a family, with torchvision's names, arguments and parameter names.

>>> from minicnn import models
>>> models.get_model("mnist_cnn", num_classes=10).classifier[-1]
Linear(in_features=512, out_features=10, bias=True)
>>> models.list_models("resnet*")
['resnet101', 'resnet152', 'resnet18', 'resnet20', 'resnet34', 'resnet50']

With weights (``published.py``): ``resnet50(weights="DEFAULT")``, ``resnet50(weights=ResNet50_Weights.IMAGENET1K_V2)``, or
``resnet50(weights="my.pth")``.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable
from typing import Any

from ..nn import Module
from . import video
from .alexnet import AlexNet, AlexNet_Weights, alexnet
from .convnext import ConvNeXt, ConvNeXt_Tiny_Weights, convnext_tiny
from .densenet import DenseNet, DenseNet121_Weights, densenet121
from .efficientnet import (
    EfficientNet,
    EfficientNet_B0_Weights,
    EfficientNet_B1_Weights,
    EfficientNet_B2_Weights,
    EfficientNet_B3_Weights,
    EfficientNet_B4_Weights,
    EfficientNet_B5_Weights,
    EfficientNet_B6_Weights,
    EfficientNet_B7_Weights,
    EfficientNet_Lite0_Weights,
    EfficientNetLite,
    efficientnet_b0,
    efficientnet_b1,
    efficientnet_b2,
    efficientnet_b3,
    efficientnet_b4,
    efficientnet_b5,
    efficientnet_b6,
    efficientnet_b7,
    efficientnet_lite0,
)
from .googlenet import GoogLeNet, GoogLeNet_Weights, GoogLeNetOutputs, googlenet
from .lenet import LeNet5, lenet5
from .mlp import MLP, mlp
from .mnist_cnn import MnistCNN, mnist_cnn
from .mobilenet import (
    MobileNet_V2_Weights,
    MobileNet_V3_Large_Weights,
    MobileNet_V3_Small_Weights,
    MobileNetV2,
    MobileNetV3,
    mobilenet_v2,
    mobilenet_v3_large,
    mobilenet_v3_small,
)
from .published import WeightsEnum, imagenet_categories
from .resnet import (
    CifarResNet,
    ResNet,
    ResNet18_Weights,
    ResNet34_Weights,
    ResNet50_Weights,
    ResNet101_Weights,
    ResNet152_Weights,
    ResNeXt50_32X4D_Weights,
    Wide_ResNet50_2_Weights,
    resnet18,
    resnet20,
    resnet34,
    resnet50,
    resnet101,
    resnet152,
    resnext50_32x4d,
    wide_resnet50_2,
)
from .squeezenet import SqueezeNet, SqueezeNet1_1_Weights, squeezenet1_1
from .vgg import (
    VGG,
    VGG11_BN_Weights,
    VGG11_Weights,
    VGG13_BN_Weights,
    VGG13_Weights,
    VGG16_BN_Weights,
    VGG16_Weights,
    VGG19_BN_Weights,
    VGG19_Weights,
    vgg11,
    vgg11_bn,
    vgg13,
    vgg13_bn,
    vgg16,
    vgg16_bn,
    vgg19,
    vgg19_bn,
)
from .vit import VisionTransformer, ViT_B_16_Weights, ViT_B_32_Weights, ViT_L_16_Weights, vit_b_16, vit_b_32, vit_l_16

__all__ = [
    "MLP",
    "VGG",
    "AlexNet",
    "AlexNet_Weights",
    "CifarResNet",
    "ConvNeXt",
    "ConvNeXt_Tiny_Weights",
    "DenseNet",
    "DenseNet121_Weights",
    "EfficientNet",
    "EfficientNetLite",
    "EfficientNet_B0_Weights",
    "EfficientNet_B1_Weights",
    "EfficientNet_B2_Weights",
    "EfficientNet_B3_Weights",
    "EfficientNet_B4_Weights",
    "EfficientNet_B5_Weights",
    "EfficientNet_B6_Weights",
    "EfficientNet_B7_Weights",
    "EfficientNet_Lite0_Weights",
    "GoogLeNet",
    "GoogLeNetOutputs",
    "GoogLeNet_Weights",
    "LeNet5",
    "MnistCNN",
    "MobileNetV2",
    "MobileNetV3",
    "MobileNet_V2_Weights",
    "MobileNet_V3_Large_Weights",
    "MobileNet_V3_Small_Weights",
    "ResNeXt50_32X4D_Weights",
    "ResNet",
    "ResNet18_Weights",
    "ResNet34_Weights",
    "ResNet50_Weights",
    "ResNet101_Weights",
    "ResNet152_Weights",
    "SqueezeNet",
    "SqueezeNet1_1_Weights",
    "VGG11_BN_Weights",
    "VGG11_Weights",
    "VGG13_BN_Weights",
    "VGG13_Weights",
    "VGG16_BN_Weights",
    "VGG16_Weights",
    "VGG19_BN_Weights",
    "VGG19_Weights",
    "ViT_B_16_Weights",
    "ViT_B_32_Weights",
    "ViT_L_16_Weights",
    "VisionTransformer",
    "WeightsEnum",
    "Wide_ResNet50_2_Weights",
    "alexnet",
    "convnext_tiny",
    "densenet121",
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_b2",
    "efficientnet_b3",
    "efficientnet_b4",
    "efficientnet_b5",
    "efficientnet_b6",
    "efficientnet_b7",
    "efficientnet_lite0",
    "get_model",
    "get_model_builder",
    "get_model_weights",
    "get_weight",
    "googlenet",
    "imagenet_categories",
    "lenet5",
    "list_models",
    "mlp",
    "mnist_cnn",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "resnet18",
    "resnet20",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "squeezenet1_1",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
    "video",
    "vit_b_16",
    "vit_b_32",
    "vit_l_16",
    "wide_resnet50_2",
]

# Small ones of our own, which train from scratch on images of 28 x 28 or 32 x 32: what `minicnn train` takes for digits.
SMALL: dict[str, Callable[..., Module]] = {"lenet5": lenet5, "mlp": mlp, "mnist_cnn": mnist_cnn}

_BUILDERS: dict[str, tuple[Callable[..., Module], type[WeightsEnum] | None]] = {
    **{name: (builder, None) for name, builder in SMALL.items()},
    "resnet20": (resnet20, None),
    "alexnet": (alexnet, AlexNet_Weights),
    "convnext_tiny": (convnext_tiny, ConvNeXt_Tiny_Weights),
    "densenet121": (densenet121, DenseNet121_Weights),
    "efficientnet_b0": (efficientnet_b0, EfficientNet_B0_Weights),
    "efficientnet_b1": (efficientnet_b1, EfficientNet_B1_Weights),
    "efficientnet_b2": (efficientnet_b2, EfficientNet_B2_Weights),
    "efficientnet_b3": (efficientnet_b3, EfficientNet_B3_Weights),
    "efficientnet_b4": (efficientnet_b4, EfficientNet_B4_Weights),
    "efficientnet_b5": (efficientnet_b5, EfficientNet_B5_Weights),
    "efficientnet_b6": (efficientnet_b6, EfficientNet_B6_Weights),
    "efficientnet_b7": (efficientnet_b7, EfficientNet_B7_Weights),
    "efficientnet_lite0": (efficientnet_lite0, EfficientNet_Lite0_Weights),
    "googlenet": (googlenet, GoogLeNet_Weights),
    "mc3_18": (video.mc3_18, video.MC3_18_Weights),
    "mobilenet_v2": (mobilenet_v2, MobileNet_V2_Weights),
    "mobilenet_v3_large": (mobilenet_v3_large, MobileNet_V3_Large_Weights),
    "mobilenet_v3_small": (mobilenet_v3_small, MobileNet_V3_Small_Weights),
    "r2plus1d_18": (video.r2plus1d_18, video.R2Plus1D_18_Weights),
    "r3d_18": (video.r3d_18, video.R3D_18_Weights),
    "resnet101": (resnet101, ResNet101_Weights),
    "resnet152": (resnet152, ResNet152_Weights),
    "resnet18": (resnet18, ResNet18_Weights),
    "resnet34": (resnet34, ResNet34_Weights),
    "resnet50": (resnet50, ResNet50_Weights),
    "resnext50_32x4d": (resnext50_32x4d, ResNeXt50_32X4D_Weights),
    "squeezenet1_1": (squeezenet1_1, SqueezeNet1_1_Weights),
    "vgg11": (vgg11, VGG11_Weights),
    "vgg11_bn": (vgg11_bn, VGG11_BN_Weights),
    "vgg13": (vgg13, VGG13_Weights),
    "vgg13_bn": (vgg13_bn, VGG13_BN_Weights),
    "vgg16": (vgg16, VGG16_Weights),
    "vgg16_bn": (vgg16_bn, VGG16_BN_Weights),
    "vgg19": (vgg19, VGG19_Weights),
    "vgg19_bn": (vgg19_bn, VGG19_BN_Weights),
    "vit_b_16": (vit_b_16, ViT_B_16_Weights),
    "vit_b_32": (vit_b_32, ViT_B_32_Weights),
    "vit_l_16": (vit_l_16, ViT_L_16_Weights),
    "wide_resnet50_2": (wide_resnet50_2, Wide_ResNet50_2_Weights),
}


def list_models(
    module: Any = None, include: str | Iterable[str] | None = None, exclude: str | Iterable[str] | None = None
) -> list[str]:
    """The names that :func:`get_model` knows, sorted.

    Parameters
    ----------
    module : a module of models, such as ``models.video``, whose builders alone are listed; or a pattern, as ``include``.
    include, exclude : patterns of names, as of files: ``"resnet*"``, or several of them.
    """
    if isinstance(module, str):
        module, include = None, module
    names = sorted(_BUILDERS)
    if module is not None:
        names = [name for name in names if hasattr(module, name)]
    if include is not None:
        patterns = [include] if isinstance(include, str) else list(include)
        names = [name for name in names if any(fnmatch.fnmatch(name, pattern) for pattern in patterns)]
    if exclude is not None:
        patterns = [exclude] if isinstance(exclude, str) else list(exclude)
        names = [name for name in names if not any(fnmatch.fnmatch(name, pattern) for pattern in patterns)]
    return names


def _entry(name: str) -> tuple[Callable[..., Module], type[WeightsEnum] | None]:
    if name.lower() not in _BUILDERS:
        from .matching import unknown_model

        raise ValueError(unknown_model(name, list_models()))
    return _BUILDERS[name.lower()]


def get_model(name: str, **config: Any) -> Module:
    """Build a model by name, in letters of any size; ``config`` goes to its builder, such as ``weights="DEFAULT"``.

    Raises
    ------
    ValueError : a name that is none of :func:`list_models`.
    """
    return _entry(name)[0](**config)


def get_model_builder(name: str) -> Callable[..., Module]:
    """The function that builds a model of this name."""
    return _entry(name)[0]


def get_model_weights(name: str | Callable[..., Module]) -> type[WeightsEnum]:
    """The enumeration of a model's published weights.

    >>> get_model_weights("vgg16").DEFAULT
    VGG16_Weights.IMAGENET1K_V1

    Raises
    ------
    ValueError : a name that is none of :func:`list_models`, or a model of which none are published.
    """
    name = name if isinstance(name, str) else name.__name__
    weights = _entry(name)[1]
    if weights is None:
        raise ValueError(f"model {name!r} has no published weights: train it")
    return weights


def get_weight(name: str) -> WeightsEnum:
    """Published weights by their full name.

    >>> get_weight("ResNet50_Weights.IMAGENET1K_V2").sha256
    '11ad3fa6'

    Raises
    ------
    ValueError : a name that does not exist.
    """
    kind, dot, member = name.partition(".")
    for _, weights in _BUILDERS.values():
        if weights is not None and weights.__name__ == kind and dot:
            return weights.verify(member)
    raise ValueError(f"name: there are no weights {name!r}; expected such as 'ResNet50_Weights.IMAGENET1K_V2'")
