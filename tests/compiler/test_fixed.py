"""Plans for inference on memory that stays (``fixed.py``), and the layers they are made of (``epilogues.py``).

The oracle is the model run eagerly, whose operations are compared with PyTorch elsewhere. Rounding differs: batch norm
moves into the filters.
"""

from __future__ import annotations

import threading

import numpy as np
import pytest

import minicnn as mc
from minicnn import models, nn
from minicnn.models.blocks import SqueezeExcitation
from minicnn.nn import functional as F


def compiled_as_eager(model: nn.Module, *shape: int, dtype: mc.DType = mc.float32) -> mc.compiler.CompiledModule:
    """The compiled model, after both gave the same on two inputs."""
    model = model.to(dtype).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2)
    compiled = mc.compile(model)
    with mc.no_grad():
        for _ in range(2):
            x = mc.randn(*shape, dtype=dtype)
            expected = model(x).numpy()
            few = 2000 * float(np.finfo(expected.dtype).eps)  # some layers of some hundred terms each
            np.testing.assert_allclose(compiled(x).numpy(), expected, rtol=few, atol=few * np.abs(expected).max())
    return compiled


def names(compiled: mc.compiler.CompiledModule) -> list[str]:
    return [row[0] for row in compiled.plan.rows()]


class Bottleneck(nn.Module):
    """Expand, depthwise, squeeze-and-excitation, project, add."""

    def __init__(self, c: int = 18, wide: int = 35):
        super().__init__()
        self.expand = nn.Sequential(nn.Conv2d(c, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.Hardswish())
        depthwise = nn.Conv2d(wide, wide, 5, padding=2, groups=wide, bias=False)
        self.depthwise = nn.Sequential(depthwise, nn.BatchNorm2d(wide), nn.SiLU())
        self.excite = SqueezeExcitation(wide, 9)
        self.project = nn.Sequential(nn.Conv2d(wide, c, 1, bias=False), nn.BatchNorm2d(c))

    def forward(self, x: mc.Tensor) -> mc.Tensor:
        return x + self.project(self.excite(self.depthwise(self.expand(x))))


@pytest.mark.parametrize("dtype", [mc.float32, mc.float64])
def test_a_bottleneck_is_four_calls(dtype):
    compiled = compiled_as_eager(Bottleneck(), 2, 18, 9, 7, dtype=dtype)
    assert names(compiled) == ["ConvEpilogue", "ConvEpilogue", "SqueezeExcite", "ConvEpilogue"]
    fused = [row[1] for row in compiled.plan.rows()]
    assert fused[0] == "Conv2d + BatchNormEval + Hardswish"
    assert fused[3] == "Mul + Conv2d + BatchNormEval + Add"


class Transformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(32, 2, 48, activation="gelu", batch_first=True, norm_first=True)
        self.head = nn.Linear(32, 5)

    def forward(self, x: mc.Tensor) -> mc.Tensor:
        return self.head(self.layer(x)[:, 0])


def test_a_transformer():
    compiled = compiled_as_eager(Transformer(), 3, 21, 32)
    assert {"LayerNorm", "Attention", "LinearEpilogue"} <= {*names(compiled)}
    assert compiled.plan._fixed is not None


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "resnet18"])
def test_models(name):
    mc.manual_seed(0)
    compiled_as_eager(models.get_model(name, num_classes=7), 1, 3, 32, 32)


def test_results_stay():
    """A result is nobody's memory but the caller's."""
    compiled = compiled_as_eager(nn.Sequential(nn.Linear(4, 3), nn.ReLU()), 2, 4)
    with mc.no_grad():
        first = compiled(mc.ones(2, 4))
        before = first.numpy().copy()
        second = compiled(mc.zeros(2, 4))
    np.testing.assert_array_equal(first.numpy(), before)
    assert not np.shares_memory(first.numpy(), second.numpy())


def test_the_first_result_has_the_bits_of_the_later_ones():
    model, x = Bottleneck().eval(), mc.randn(1, 18, 8, 8)
    compiled = mc.compile(model)
    with mc.no_grad():
        first, *later = (compiled(x).numpy() for _ in range(3))
    for result in later:
        np.testing.assert_array_equal(result, first)


def test_weights_that_change():
    model, x = nn.Sequential(nn.Linear(20, 30), nn.GELU(), nn.Linear(30, 4)).eval(), mc.randn(5, 20)
    compiled = mc.compile(model)
    with mc.no_grad():
        compiled(x)
        model[0].weight.mul_(2.0)
        model[2].bias.data = mc.ones(4)
        np.testing.assert_allclose(compiled(x).numpy(), model(x).numpy(), rtol=1e-5, atol=1e-6)
        model[2].weight.detach().numpy()[:] = 3  # behind the framework's back
        np.testing.assert_allclose(compiled(x).numpy(), model(x).numpy(), rtol=1e-5, atol=1e-6)


def test_threads_at_the_same_time():
    model = Bottleneck().eval()
    compiled, inputs = mc.compile(model), [mc.randn(2, 18, 12, 12) for _ in range(4)]
    with mc.no_grad():
        expected = [compiled(x).numpy() for x in inputs]
    wrong: list[int] = []

    def work(i: int) -> None:
        with mc.no_grad():
            for _ in range(50):
                if not np.array_equal(compiled(inputs[i]).numpy(), expected[i]):
                    wrong.append(i)

    workers = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


class Views(nn.Module):
    """A gate on a view of something that is needed again; branches that are used twice; a value that is an operand twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(20, 20, 1)
        self.excite = SqueezeExcitation(20, 5)
        self.project = nn.Conv2d(20, 20, 1)

    def forward(self, x: mc.Tensor) -> mc.Tensor:
        y = self.conv(x)
        z = self.project(self.excite(y.view(2, 20, 6, 4)))  # not to be scaled in y's memory
        twice = F.relu(self.conv(x))
        return z.reshape(2, 20, 4, 6) + y + (twice + twice) * F.relu(y)


def test_memory_that_others_look_at():
    compiled_as_eager(Views(), 2, 20, 4, 6)


@pytest.mark.parametrize("algorithm", ["exact", "im2col", "direct"])
def test_algorithms(algorithm):
    """A plan follows the setting of the moment."""
    model, x = nn.Sequential(nn.Conv2d(20, 24, 1), nn.ReLU(), nn.Conv2d(24, 8, 3)).eval(), mc.randn(2, 20, 9, 9)
    compiled = mc.compile(model)
    with mc.no_grad():
        expected = compiled(x).numpy()
        for _ in range(2):
            with mc.conv_algorithm(algorithm):
                np.testing.assert_allclose(compiled(x).numpy(), expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(compiled(x).numpy(), expected)


def test_the_reference_back_end():
    model, x = Bottleneck().eval(), mc.randn(1, 18, 5, 5)
    compiled = mc.compile(model)
    with mc.no_grad():
        expected = compiled(x).numpy()
        with mc.use_backend("reference"):
            np.testing.assert_allclose(compiled(x).numpy(), expected, rtol=1e-4, atol=1e-5)


def test_several_inputs_and_results():
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right = nn.Linear(3, 4), nn.Linear(5, 4)

        def forward(self, a: mc.Tensor, b: mc.Tensor) -> dict[str, mc.Tensor]:
            left, right = self.left(a), self.right(b)
            return {"sum": left + right, "left": left, "large": F.sigmoid(right)}

    model = Both().eval()
    compiled, a, b = mc.compile(model), mc.randn(2, 3), mc.randn(2, 5)
    with mc.no_grad():
        for _ in range(2):
            expected, actual = model(a, b), compiled(a, b)
            assert list(actual) == list(expected)
            for name, value in expected.items():
                np.testing.assert_allclose(actual[name].numpy(), value.numpy(), rtol=1e-5, atol=1e-6)
