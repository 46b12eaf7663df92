"""Models of the zoo: inference at 224x224, batch 1 and 8; a training step of ResNet-18; building ResNet-50.

Inference in ``eval()`` without gradients, PyTorch's under ``inference_mode``; "compiled" has batch norm folded and layers
fused, as have torch.compile and ONNX Runtime, whose graph PyTorch exports. All peers have the same weights, and the same
logits or they are not timed. The weights are those a model is made with, and the averages of batch norm are from noise, so
that no layer's numbers fade away. The floor is the multiply-adds (at batch 1 of VGG-16, its weights: 553 MB).

A training step is forward in training mode, cross-entropy, backward, SGD with momentum: batch 16 of 64x64 images.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from functools import lru_cache, partial
from typing import Any

import numpy as np

from .case import CHANNELS_LAST, COMPILED, INDUCTOR, MINICNN, ONNX, TORCH, Call, Case, Maker, Setting
from .modules import arrays, channels_last
from .torch_zoo import builder

# Of a model at 224x224: billions of multiply-adds for an image, millions of parameters; as the published weights say.
MODELS = {
    "resnet50": (4.089, 25.6),
    "vgg16": (15.47, 138.4),
    "mobilenet_v3_small": (0.057, 2.5),
    "efficientnet_b0": (0.386, 5.3),
    "vit_b_16": (17.564, 86.6),
}
RESNET18_AT_64 = 0.148  # as above
# Of the largest logit: float32 through many layers, in another order and with folded batch norm. (With these weights
# PyTorch's own logits of EfficientNet-B0 at batch 8 were 8e-4 from those in float64.)
TOLERANCE = 1e-2


@lru_cache(maxsize=1)  # as those below: what is large goes when the next model comes
def weights(name: str) -> Mapping[str, np.ndarray]:
    """A state dict for all peers: as the model is made, but for the averages of batch norm and heads of zeros."""
    import minicnn as mc

    mc.manual_seed(0)
    model = getattr(mc.models, name)().eval()
    for module in model.modules():
        if isinstance(module, mc.nn.BatchNorm2d):
            module.train().momentum = 1.0  # the averages of one batch
    # Of images as large as those it will see: of smaller ones the last layers have few pixels, and the numbers grow from
    # layer to layer, to where an activation is zero or tiny.
    (x,) = arrays((4, 3, 224, 224))
    with mc.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1 and not parameter.any():
                mc.nn.init.normal_(parameter, std=0.02)
        if not hasattr(model, "image_size"):  # a Vision Transformer takes one size; it has no batch norm
            model(mc.from_numpy(x))
    return {key: value.numpy() for key, value in model.state_dict().items()}


@lru_cache(maxsize=2)
def minicnn_model(name: str, compiled: bool) -> Any:
    import minicnn as mc

    with mc.nn.init.skipped():
        model = getattr(mc.models, name)()
    model.load_state_dict({key: mc.tensor(value) for key, value in weights(name).items()})
    return mc.compile(model) if compiled else model


@lru_cache(maxsize=3)
def torch_model(name: str, last: bool, compiled: bool = False) -> Any:
    import torch

    with torch.device("meta"):
        model = builder(name)()
    model.load_state_dict({key: torch.tensor(value) for key, value in weights(name).items()}, assign=True)
    model = model.to(memory_format=torch.channels_last if last else torch.contiguous_format)
    return torch.compile(model) if compiled else model


@lru_cache(maxsize=1)
def logits(name: str, batch: int, size: int) -> np.ndarray:
    """What all peers must find: PyTorch's."""
    import torch

    model = torch_model(name, last=False).eval()
    with torch.inference_mode():
        return model(torch.from_numpy(*arrays((batch, 3, size, size)))).numpy()


def _checked(run: Call, array_of: Any, name: str, batch: int, size: int) -> Call:
    """The call, if its logits are right."""
    found = array_of(run())
    expected = logits(name, batch, size) if _has_torch() else found
    error = np.abs(found - expected).max() / np.abs(expected).max()
    if not error < TOLERANCE:
        raise AssertionError(f"{name}: a peer's logits differ by {error:.1e} of the largest")
    return run


def _has_torch() -> bool:
    from .case import missing

    return missing(TORCH) is None


def infer_minicnn(name: str, batch: int, size: int, compiled: bool) -> Call:
    import minicnn as mc

    model = minicnn_model(name, compiled).eval()
    x = mc.from_numpy(channels_last(*arrays((batch, 3, size, size))))

    def run() -> Any:
        with mc.no_grad():
            return model(x)

    return _checked(run, lambda y: y.numpy(), name, batch, size)


def infer_torch(name: str, batch: int, size: int, last: bool, compiled: bool = False) -> Call:
    import torch

    model = torch_model(name, last, compiled).eval()
    x = torch.from_numpy(*arrays((batch, 3, size, size)))
    x = x.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)

    def run() -> Any:
        with torch.inference_mode():
            return model(x)

    return _checked(run, lambda y: y.numpy(), name, batch, size)


def infer_onnx(name: str, batch: int, size: int, threads: int) -> Call:
    import onnxruntime
    import torch

    (x,) = arrays((batch, 3, size, size))
    graph, options = io.BytesIO(), onnxruntime.SessionOptions()
    torch.onnx.export(torch_model(name, last=False).eval(), (torch.from_numpy(x),), graph, dynamo=False)
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(graph.getvalue(), options, providers=["CPUExecutionProvider"])
    inputs = {session.get_inputs()[0].name: x}
    return _checked(lambda: session.run(None, inputs)[0], np.asarray, name, batch, size)


def train(framework: Any, model: Any, x: Any, labels: Any) -> Call:
    """A training step, with minicnn or PyTorch."""
    optimizer = framework.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    criterion = framework.nn.CrossEntropyLoss()

    def step() -> float:
        optimizer.zero_grad()
        loss = criterion(model(x), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def train_minicnn(name: str, batch: int, size: int, compiled: bool) -> Call:
    import minicnn as mc

    x = mc.from_numpy(channels_last(*arrays((batch, 3, size, size))))
    return train(mc, minicnn_model(name, compiled).train(), x, mc.arange(batch))


def train_torch(name: str, batch: int, size: int, last: bool, compiled: bool = False) -> Call:
    import torch

    x = torch.from_numpy(*arrays((batch, 3, size, size)))
    x = x.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)
    return train(torch, torch_model(name, last, compiled).train(), x, torch.arange(batch))


def build_minicnn(name: str) -> Call:
    import minicnn as mc

    return getattr(mc.models, name)


def cases(setting: Setting) -> Iterator[Case]:
    size, batches = (32, (1,)) if setting.quick else (224, (1, 8))
    share = (size / 224) ** 2
    for name in ("mobilenet_v3_small",) if setting.quick else MODELS:
        operations, parameters = MODELS[name]
        for batch in batches:
            sizes = name, batch, size
            peers: dict[str, Maker] = {
                MINICNN: partial(infer_minicnn, *sizes, compiled=False),
                COMPILED: partial(infer_minicnn, *sizes, compiled=True),
                TORCH: partial(infer_torch, *sizes, last=False),
                CHANNELS_LAST: partial(infer_torch, *sizes, last=True),
                INDUCTOR: partial(infer_torch, *sizes, last=False, compiled=True),
                ONNX: partial(infer_onnx, *sizes, threads=setting.threads),
            }
            yield Case(f"{name}, batch {batch}", peers, 2e9 * batch * operations * share, 4e6 * parameters)

    batch, size = (2, 32) if setting.quick else (16, 64)
    sizes = "resnet18", batch, size
    peers = {
        MINICNN: partial(train_minicnn, *sizes, compiled=False),
        COMPILED: partial(train_minicnn, *sizes, compiled=True),
        TORCH: partial(train_torch, *sizes, last=False),
        CHANNELS_LAST: partial(train_torch, *sizes, last=True),
        INDUCTOR: partial(train_torch, *sizes, last=False, compiled=True),
    }
    # Forward and two gradients; a parameter is read twice, its gradient written and read, its momentum and it changed.
    flops = 3 * 2e9 * batch * RESNET18_AT_64 * (size / 64) ** 2
    yield Case(f"resnet18, training step, batch {batch}, {size}x{size}", peers, flops, 8 * 4 * 11.7e6)

    name = "resnet18" if setting.quick else "resnet50"
    peers = {MINICNN: partial(build_minicnn, name), TORCH: partial(builder, name)}
    yield Case(f"building {name}", peers, bytes=4 * 25.6e6)
