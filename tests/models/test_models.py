"""The ready-made models against the same models written in PyTorch, from the same weights."""

import sys

import numpy as np
import pytest
import torch

import minicnn as mc
from minicnn import models


class TorchLeNet5(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.c1, self.c3 = torch.nn.Conv2d(1, 6, 5, padding=2), torch.nn.Conv2d(6, 16, 5)
        self.c5, self.f6, self.output = torch.nn.Linear(400, 120), torch.nn.Linear(120, 84), torch.nn.Linear(84, 10)

    def forward(self, x):
        x = torch.nn.functional.avg_pool2d(torch.tanh(self.c1(x)), 2)
        x = torch.nn.functional.avg_pool2d(torch.tanh(self.c3(x)), 2)
        return self.output(torch.tanh(self.f6(torch.tanh(self.c5(x.flatten(1))))))


class TorchMnistCNN(torch.nn.Module):
    def __init__(self):
        super().__init__()
        nn = torch.nn
        self.features = nn.Sequential(
            *(nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2, 2)),
            *(nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2, 2)),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(64 * 7 * 7, 512), nn.ReLU(), nn.Dropout(0.5), nn.Linear(512, 10)
        )

    def forward(self, x):
        return self.classifier(self.features(x))


class TorchMLP(torch.nn.Module):
    def __init__(self):
        super().__init__()
        nn = torch.nn
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Dropout(0.2), nn.Linear(512, 10))

    def forward(self, x):
        return self.layers(x)


TWINS = {"lenet5": TorchLeNet5, "mnist_cnn": TorchMnistCNN, "mlp": TorchMLP}


@pytest.mark.parametrize("name", models.SMALL)
def test_same_parameters_and_same_logits_as_the_model_in_pytorch(name):
    torch.manual_seed(0)
    theirs = TWINS[name]().double()
    ours = models.get_model(name).double()
    ours.load_state_dict({key: mc.tensor(value.numpy()) for key, value in theirs.state_dict().items()})
    x = np.random.default_rng(0).normal(size=(3, 1, 28, 28))
    with torch.no_grad(), mc.no_grad():
        expected = theirs.eval()(torch.from_numpy(x)).numpy()
        got = ours.eval()(mc.tensor(x)).numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)  # float64 rounding over sums of at most 3,136


@pytest.mark.parametrize("name", models.SMALL)
def test_number_of_classes(name):
    with mc.no_grad():
        assert models.get_model(name, num_classes=3)(mc.zeros(2, 1, 28, 28)).shape == (2, 3)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="model 'resnet' is not known; expected one of alexnet, "):
        models.get_model("resnet")


def test_a_dense_net_that_computes_again_has_the_same_gradients():
    x = mc.randn(2, 3, 32, 32, generator=mc.Generator().manual_seed(0))
    found = []
    for memory_efficient in (False, True):
        mc.manual_seed(1)
        net = mc.models.DenseNet(4, (2, 2), 8, num_classes=3, memory_efficient=memory_efficient)
        net(x.clone().requires_grad_()).sum().backward()
        found.append({name: p.grad.numpy() for name, p in net.named_parameters()})
        assert net.state_dict()["features.denseblock1.denselayer2.norm1.num_batches_tracked"] == 1 + memory_efficient
    for name, gradient in found[0].items():
        np.testing.assert_allclose(
            found[1][name], gradient, rtol=1e-9, atol=1e-12, err_msg=name
        )  # sums in another order


def test_parts_of_ones_own():
    """The arguments of the classes that replace a kind of part: torchvision's names and places."""
    nn = mc.nn
    with mc.no_grad():
        one, two = (models.SqueezeNet(version, 3).eval() for version in ("1_0", "1_1"))
        assert one(mc.zeros(1, 3, 64, 64)).shape == two(mc.zeros(1, 3, 64, 64)).shape == (1, 3)
        with pytest.raises(ValueError, match="version: expected '1_0' or '1_1', got '2'"):
            models.SqueezeNet("2")
        stem = [models.vit.ConvStemConfig(4, 3, 2), models.vit.ConvStemConfig(8, 3, 2)]
        vit = models.VisionTransformer(16, 4, 1, 2, 8, 16, num_classes=3, conv_stem_configs=stem)
        assert [name for name, _ in vit.conv_proj.named_children()] == ["conv_bn_relu_0", "conv_bn_relu_1", "conv_last"]
        assert vit(mc.zeros(2, 3, 16, 16)).shape == (2, 3)
        net = models.ConvNeXt([(4, 1), (8, 1)], block=lambda dim, scale, drop: nn.Identity(), norm_layer=nn.BatchNorm2d)
        assert [type(m).__name__ for m in net.modules()].count(
            "BatchNorm2d"
        ) == 3  # stem, between, before the classifier
        assert isinstance(net.features[1][0], nn.Identity)
        net = models.MobileNetV3(
            [models.mobilenet.BlockV3(8, 3, 8, 8, False, False, 1)], 16, 3, lambda row, norm: norm(8)
        )
        assert isinstance(net.features[1], nn.BatchNorm2d)
        file = sys.modules["minicnn.models.googlenet"]
        parts = [file.BasicConv2d, file.Inception, file.InceptionAux]
        with pytest.raises(ValueError, match="blocks: expected convolution, inception module"):
            models.GoogLeNet(3, blocks=parts[:2])
        assert list(models.GoogLeNet(3, blocks=parts).state_dict()) == list(models.GoogLeNet(3).state_dict())


def test_squeeze_net_1_0_has_the_papers_size():
    with mc.nn.init.skipped():
        assert sum(p.numel() for p in models.SqueezeNet().parameters()) == 1_248_424  # as torchvision's squeezenet1_0


@pytest.mark.parametrize(
    ("name", "options", "tail", "last"),
    [
        ("mobilenet_v3_large", {"reduced_tail": True}, [(672, 80, 2, 1), (480, 80, 1, 1), (480, 80, 1, 1)], 640),
        ("mobilenet_v3_small", {"reduced_tail": True}, [(288, 48, 2, 1), (288, 48, 1, 1), (288, 48, 1, 1)], 512),
        ("mobilenet_v3_large", {"dilated": True}, [(672, 160, 1, 2), (960, 160, 1, 2), (960, 160, 1, 2)], 1280),
    ],
)
def test_the_tail_of_a_mobile_net(name, options, tail, last):
    """The numbers of torchvision's tables: expanded and output channels, stride and dilation of the last three blocks."""
    with mc.nn.init.skipped():
        net = mc.models.get_model(name, **options)
    found = []
    for block in list(net.features)[-4:-1]:
        depthwise = next(m for m in block.block.modules() if isinstance(m, mc.nn.Conv2d) and m.groups > 1)
        found.append((depthwise.in_channels, block.block[-1].out_channels, depthwise.stride[0], depthwise.dilation[0]))
    assert found == tail
    assert net.classifier[0].out_features == last
    assert net.eval()(mc.zeros(1, 3, 64, 64)).shape == (1, 1000)
