"""Heads, freezing, rates, features, the rate finder and the doctor: what each promises, on small networks."""

from __future__ import annotations

import copy
from collections import OrderedDict

import numpy as np
import pytest

import minicnn as mc
from minicnn import models, nn, optim, transfer
from minicnn.data import DataLoader, TensorDataset
from minicnn.data.transforms import CenterCrop, Compose, ImageClassification, Normalize, Resize, ToTensor
from minicnn.nn import functional as F


class Small(nn.Module):
    """Two stages with batch norm, and a head."""

    def __init__(self, num_classes: int = 3):
        super().__init__()
        self.layer1 = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
        self.layer2 = nn.Sequential(nn.Conv2d(4, 6, 3, stride=2), nn.BatchNorm2d(6), nn.ReLU())
        self.fc = nn.Linear(6, num_classes)

    def forward(self, x):
        return self.fc(self.layer2(self.layer1(x)).mean((2, 3)))


# ---- heads


HEADS = {
    "resnet18": "fc",
    "vgg11": "classifier.6",
    "alexnet": "classifier.6",
    "squeezenet1_1": "classifier.1",
    "mobilenet_v2": "classifier.1",
    "mobilenet_v3_small": "classifier.3",
    "efficientnet_b0": "classifier.1",
    "efficientnet_lite0": "_fc",
    "vit_b_32": "heads.head",
    "densenet121": "classifier",
    "googlenet": "fc",
    "convnext_tiny": "classifier.2",
    "r3d_18": "fc",
    "lenet5": "output",
    "mlp": "layers.4",
    "mnist_cnn": "classifier.4",
    "resnet20": "fc",
}


@pytest.mark.parametrize("name", models.list_models())
def test_the_head_of_every_model_is_known(name):
    with nn.init.skipped():
        model = models.get_model(name)
    head = transfer.find_head(model)
    assert head.name == HEADS.get(name, head.name)
    assert head.num_classes == (
        400 if "18" in name and "resnet" not in name else 10 if name in models.SMALL or name == "resnet20" else 1000
    )
    parameters = [n for n, _ in model.named_parameters() if not n.startswith("aux")]
    assert parameters[-1].startswith(head.name), "nothing with weights comes after it"


def test_replace_head():
    model = Small().train()
    old = model.fc
    assert transfer.replace_head(model, 7) is model
    assert (model.fc.in_features, model.fc.out_features) == (6, 7)
    assert model.fc is not old
    assert model(mc.zeros(2, 1, 8, 8)).shape == (2, 7)
    squeeze = transfer.replace_head(models.squeezenet1_1(), 4)
    assert squeeze(mc.zeros(1, 3, 32, 32)).shape == (1, 4)
    google = transfer.replace_head(models.googlenet(), 4)
    assert {x.shape for x in google(mc.zeros(2, 3, 64, 64))} == {(2, 4)}
    double = transfer.replace_head(Small().double(), 2)
    assert double.fc.weight.dtype is mc.float64


def test_heads_that_cannot_be_told():
    model = nn.Sequential(OrderedDict(a=nn.Linear(2, 3), b=nn.ReLU(), c=nn.Linear(3, 4)))
    with pytest.raises(ValueError, match="give its name, one of a, c"):
        transfer.replace_head(model, 2)
    transfer.replace_head(model, 2, name="c")
    assert model.c.out_features == 2
    with pytest.raises(ValueError, match="'b' is a ReLU"):
        transfer.find_head(model, "b")
    with pytest.raises(ValueError, match="'d' is not there"):
        transfer.find_head(model, "d")
    with pytest.raises(ValueError, match="expected at least 1, got 0"):
        transfer.replace_head(model, 0)


# ---- freezing


def state(module: nn.Module) -> dict[str, np.ndarray]:
    return {k: v.numpy().copy() for k, v in module.state_dict().items()}


def train_a_little(model: nn.Module) -> None:
    optimizer = optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for _ in range(2):  # two epochs: train() is called again, as in a loop
        model.train()
        loss = F.cross_entropy(model(mc.randn(8, 1, 8, 8)), mc.arange(8) % 3)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        model.eval()


def changed(before: dict[str, np.ndarray], after: dict[str, np.ndarray]) -> set[str]:
    return {k.rpartition(".")[0].partition(".")[0] for k in before if not np.array_equal(before[k], after[k])}


def test_frozen_stages_stay_to_the_last_bit():
    model = Small()
    assert transfer.freeze(model, until="layer1").until == "layer1"
    before = state(model)
    train_a_little(model)
    assert changed(before, state(model)) == {"layer2", "fc"}


def test_batch_norm_may_go_on():
    model = Small()
    transfer.freeze(model, until="layer1", batch_norm="train")
    before = state(model)
    train_a_little(model)
    after = state(model)
    assert not np.array_equal(before["layer1.1.running_mean"], after["layer1.1.running_mean"])
    assert np.array_equal(before["layer1.1.weight"], after["layer1.1.weight"])


def test_all_but_the_head():
    model = Small()
    frozen = transfer.freeze(model)
    assert frozen.parameters == 8
    before = state(model)
    train_a_little(model)
    assert changed(before, state(model)) == {"fc"}
    transfer.unfreeze(model)
    assert all(p.requires_grad for p in model.parameters())
    before = state(model)
    train_a_little(model)
    assert changed(before, state(model)) == {"layer1", "layer2", "fc"}


def test_freezing_again_freezes_that_and_no_more():
    model = Small()
    transfer.freeze(model)
    transfer.freeze(model, until="layer1")
    assert all(p.requires_grad for p in model.layer2.parameters())
    assert model.train().layer2[1].training


def test_frozen_survives_a_copy_and_compiles():
    model = Small()
    transfer.freeze(model, until="layer1")
    twin = copy.deepcopy(model).train()
    assert not twin.layer1[1].training
    assert twin.layer2[1].training
    x = mc.randn(4, 1, 8, 8)
    np.testing.assert_allclose(
        mc.compile(twin)(x).detach().numpy(), copy.deepcopy(model).train()(x).detach().numpy(), atol=1e-5
    )


def test_stages_of_the_zoo():
    names = [name for name, _ in transfer.stages(models.mobilenet_v3_small())]
    assert names[0] == "features.0"
    assert names[-1] == "classifier"
    vit = models.VisionTransformer(32, 16, 1, 2, 8, 16)
    transfer.freeze(vit, until="conv_proj")
    assert not vit.class_token.requires_grad
    assert not vit.encoder.pos_embedding.requires_grad
    with pytest.raises(ValueError, match="has no stage 'layer9'; its stages are conv1, bn1, layer1"):
        transfer.freeze(models.resnet20(), until="layer9")
    with pytest.raises(ValueError, match="expected 'eval' or 'train'"):
        transfer.freeze(Small(), batch_norm="off")


def test_gradual_unfreezing():
    model = Small()
    unfreezing = transfer.GradualUnfreezing(model)
    trained = []
    while True:
        trained.append(sorted({n.partition(".")[0] for n, p in model.named_parameters() if p.requires_grad}))
        if unfreezing.step() is None:
            break
    assert trained == [["fc"], ["fc", "layer2"], ["fc", "layer1", "layer2"]]
    assert model.train().layer1[1].training


def test_a_transformer_is_unfrozen_block_by_block():
    vit = models.VisionTransformer(32, 16, 3, 2, 8, 16)
    unfreezing = transfer.GradualUnfreezing(vit)
    blocks = [f"encoder.layers.encoder_layer_{i}" for i in range(3)]
    seen = []
    for name in [*blocks[::-1], "conv_proj"]:
        assert unfreezing.step() == name
        seen.append(sum(p.requires_grad for p in vit.parameters()))
    # 12 parameters a block, two of the last normalisation, two of the head; the convolution comes with token and positions
    assert seen == [16, 28, 40, 44]
    assert all(p.requires_grad for p in vit.parameters())
    assert unfreezing.step() is None
    transfer.freeze(vit, until=blocks[1])
    assert {n.partition("layer_")[2][:1] for n, p in vit.named_parameters() if p.requires_grad} == {"2", ""}


def test_the_stages_of_ones_own_encoder():
    model = nn.Module()
    model.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16), 2, enable_nested_tensor=False)
    model.fc = nn.Linear(8, 2)
    assert [name for name, _ in transfer.stages(model)] == ["encoder.layers.0", "encoder.layers.1", "fc"]


@pytest.mark.parametrize(
    ("name", "below", "trained"),
    [
        ("resnet20", 0, ["fc"]),
        ("resnet20", 1, ["layer3", "fc"]),
        ("vgg11_bn", 0, ["classifier.6"]),
        ("vgg11_bn", 1, ["features.25", "features.26", "classifier"]),  # a normalisation goes with its convolution
        ("efficientnet_lite0", 1, ["_conv_head", "_bn1", "_fc"]),
        ("vit_b_32", 1, ["encoder.layers.encoder_layer_11", "encoder.ln", "heads"]),
        ("googlenet", 2, ["inception5a", "inception5b", "fc"]),
        ("googlenet", 4, ["inception4d", "aux2", "inception4e", "inception5a", "inception5b", "fc"]),
        ("densenet121", 1, ["features.denseblock4", "features.norm5", "classifier"]),
        ("convnext_tiny", 1, ["features.7", "classifier"]),
        ("squeezenet1_1", 1, ["features.12", "classifier"]),
        ("r3d_18", 1, ["layer4", "fc"]),
    ],
)
def test_train_top(name, below, trained):
    with nn.init.skipped():
        model = models.get_model(name)
    assert transfer.train_top(model, below) == trained
    wanted = {n for n, _ in model.named_parameters() if any(n.startswith(f"{part}.") for part in trained)}
    assert {n for n, p in model.named_parameters() if p.requires_grad} == wanted
    model.train()
    norms = {n: m.training for n, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)}
    assert all(training == any(f"{n}.".startswith(f"{part}.") for part in trained) for n, training in norms.items())


def test_train_top_of_everything():
    vit = models.VisionTransformer(32, 16, 1, 2, 8, 16)
    transfer.train_top(vit, 1)
    assert not vit.class_token.requires_grad
    blocks = ["encoder.layers.encoder_layer_0", "encoder.ln"]
    assert transfer.train_top(vit, 9) == ["conv_proj", *blocks, "heads"]
    assert all(p.requires_grad for p in vit.parameters())
    with pytest.raises(ValueError, match="below: expected 0 or more, got -1"):
        transfer.train_top(vit, -1)


def test_a_frozen_network_saves_nothing_and_computes_no_gradient():
    """Training only the head records only the head."""
    model = Small()
    transfer.freeze(model)
    out = model.train()(mc.randn(2, 1, 8, 8))
    names = set()
    stack = [out.grad_fn]
    while stack:
        node = stack.pop()
        if hasattr(node, "next_functions"):
            names.add(node.name())
            stack += [n for n, _ in node.next_functions if n is not None]
    assert not any("Conv" in name or "Norm" in name for name in names)


# ---- rates


def test_rates_by_depth():
    model = Small()
    groups = transfer.parameter_groups(model, lr=1.0, decay=0.1)
    assert [(g["name"], round(g["lr"], 10)) for g in groups] == [("layer1", 0.01), ("layer2", 0.1), ("fc", 1.0)]
    assert sum(len(g["params"]) for g in groups) == len(list(model.parameters()))
    transfer.freeze(model, until="layer1")
    assert [g["name"] for g in transfer.parameter_groups(model, lr=1.0)] == ["layer2", "fc"]
    assert transfer.parameter_groups(model, 1.0, weight_decay=0.5)[0]["weight_decay"] == 0.5
    optim.Adam(groups, lr=1.0)
    for p in model.parameters():
        p.requires_grad_(False)
    with pytest.raises(ValueError, match="no parameter is trained"):
        transfer.parameter_groups(model, 1.0)
    with pytest.raises(ValueError, match="expected positive numbers"):
        transfer.parameter_groups(model, 0.0)


# ---- features


def test_a_layers_own_output_the_first_time():
    """Not what a ReLU in place makes of it, and not what a layer makes that runs again; alone and with others alike."""
    block = models.resnet.BasicBlock(2, 2).eval()
    x = mc.randn(1, 2, 6, 6, generator=mc.Generator().manual_seed(0))
    alone = {name: transfer.FeatureExtractor(block, [name])(x)[name] for name in ("bn1", "relu")}
    both = transfer.FeatureExtractor(block, ["bn1", "relu", "relu", "bn2"])(x)
    assert (both["bn1"] < 0).any()
    for name, expected in alone.items():
        np.testing.assert_array_equal(both[name].detach().numpy(), expected.detach().numpy(), err_msg=name)
    both["bn1"].sum().backward()
    assert block.conv1.weight.grad is not None


def test_features_at_layers():
    model = Small().eval()
    x = mc.randn(2, 1, 8, 8)
    features = transfer.FeatureExtractor(model, ["layer1", "layer2.0"]).eval()(x)
    assert list(features) == ["layer1", "layer2.0"]
    np.testing.assert_array_equal(features["layer1"].detach().numpy(), model.layer1(x).detach().numpy())
    ran = []
    model.fc.register_forward_hook(lambda *a: ran.append(1))
    transfer.FeatureExtractor(model, ["layer1"])(x)
    assert not ran, "what comes after the last layer does not run"
    with pytest.raises(ValueError, match=r"\['layer3'\]; Small has layer1"):
        transfer.FeatureExtractor(model, ["layer3"])


def test_cached_features_train_the_same_head():
    model = Small()
    data = TensorDataset(mc.randn(20, 1, 8, 8), mc.arange(20) % 3)
    cache = transfer.cached_features(model, DataLoader(data, batch_size=6))
    assert model.training
    assert len(cache) == 20
    model.eval()
    x, y = cache[:]
    np.testing.assert_allclose(model.fc(x).detach().numpy(), model(data.tensors[0]).detach().numpy(), atol=1e-6)
    assert (y == data.tensors[1]).all()
    layer = transfer.cached_features(model, DataLoader(data, batch_size=6), layer="layer1")
    assert layer[0][0].shape == (4, 8, 8)
    fused = transfer.cached_features(model, DataLoader(data, batch_size=6), compile=True)
    # Batch norm is folded into the convolution before it: other roundings.
    np.testing.assert_allclose(fused.tensors[0].numpy(), cache.tensors[0].numpy(), rtol=1e-5, atol=1e-6)
    assert isinstance(model.fc, nn.Linear)
    with pytest.raises(ValueError, match="compile: only for what goes into the head, not for the layer 'layer1'"):
        transfer.cached_features(model, DataLoader(data, batch_size=6), layer="layer1", compile=True)
    with pytest.raises(ValueError, match="gives no batch"):
        transfer.cached_features(model, [])


@pytest.mark.parametrize("name", ["resnet20", "mobilenet_v3_small", "densenet121", "alexnet"])
def test_a_linear_head_is_the_last_layer_of_a_network(name):
    """So training it on cached features trains the network."""
    mc.manual_seed(0)
    model = models.get_model(name, num_classes=3)
    x = mc.randn(2, 3, 64, 64)
    features = transfer.cached_features(model, [(x, mc.arange(2))], compile=True)[:][0]
    with mc.no_grad():
        expected = model.eval()(x)
        got = transfer.find_head(model).layer(features)
    np.testing.assert_allclose(got.numpy(), expected.numpy(), rtol=1e-4, atol=1e-5)


# ---- the rate finder


def test_rate_finder_leaves_everything_as_it_was():
    model = Small()
    optimizer = optim.Adam(transfer.parameter_groups(model, 1e-3, decay=0.5))
    loader = DataLoader(TensorDataset(mc.randn(32, 1, 8, 8), mc.arange(32) % 3), batch_size=8)
    before, rates = state(model), [g["lr"] for g in optimizer.param_groups]
    curve = transfer.find_lr(model.eval(), optimizer, loader, start=1e-4, end=10, steps=20)
    assert not changed(before, state(model))
    assert [g["lr"] for g in optimizer.param_groups] == rates
    assert not optimizer.state_dict()["state"]
    assert not model.training
    assert 3 <= len(curve.rates) <= 20
    assert 1e-5 <= curve.suggestion <= 1
    assert curve.rates[0] <= curve.steepest <= curve.rates[-1]
    ratios = curve.rates[1:] / curve.rates[:-1]
    np.testing.assert_allclose(ratios, ratios[0])


def test_rates_of_normalisations_and_loose_parameters():
    def rates(model):
        return {g["name"]: g["lr"] for g in transfer.parameter_groups(model, lr=1.0, decay=0.5)}

    vit = models.VisionTransformer(32, 16, 2, 2, 8, 16)
    block = "encoder.layers.encoder_layer_"
    assert rates(vit) == {"conv_proj": 0.125, f"{block}0": 0.25, f"{block}1": 0.5, "encoder.ln": 0.5, "heads": 1.0}
    first = transfer.parameter_groups(vit, 1.0)[0]["params"]
    assert any(p is vit.class_token for p in first)
    assert any(p is vit.encoder.pos_embedding for p in first)
    with nn.init.skipped():
        plain, normed, inception = models.vgg11(), models.vgg11_bn(), models.GoogLeNet(init_weights=False)
    # the depth of a network does not depend on its normalisations
    assert rates(plain)["features.0"] == rates(normed)["features.0"] == rates(normed)["features.1"] == 0.5**8
    assert rates(inception)["aux2"] == rates(inception)["inception4d"] == 0.5**4
    loose = nn.Module()
    loose.w = nn.Parameter(mc.ones(1))
    assert rates(loose) == {"others": 1.0}


def test_rate_finder_stops_where_it_diverges_and_plots():
    layer = nn.Linear(1, 1, bias=False)
    data = [(mc.ones(4, 1), mc.full((4, 1), 100.0))]
    curve = transfer.find_lr(layer, optim.SGD(layer.parameters(), lr=1.0), data, F.mse_loss, 1e-3, 1e3, 50, smooth=1.0)
    # One weight under (w - 100)^2: a step multiplies the error by |1 - 2 lr|, so rates above 1 diverge.
    assert curve.rates[-1] < 50
    assert 0.01 < curve.suggestion < 0.2
    axes = curve.plot()
    assert axes.get_xlabel() == "learning rate"
    with pytest.raises(ValueError, match="expected 0 < start < end"):
        transfer.find_lr(layer, optim.SGD(layer.parameters(), lr=1.0), data, start=1.0, end=0.1)
    with pytest.raises(ValueError, match="gives no batch"):
        transfer.find_lr(layer, optim.SGD(layer.parameters(), lr=1.0), [])


# ---- the doctor


def names(findings: list[transfer.Finding]) -> list[str]:
    return [finding.name for finding in findings]


def test_a_healthy_model():
    model = transfer.replace_head(models.resnet18(), 2)
    transfer.freeze(model, until="layer3")
    weights = models.ResNet18_Weights.DEFAULT
    optimizer = optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    found = transfer.diagnose(model.train(), optimizer, weights, weights.transforms(), ["a", "b"], ["a", "b"])
    assert found == []


def test_an_optimizer_made_before_the_head():
    model = Small()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    transfer.replace_head(model, 5)
    found = transfer.diagnose(model, optimizer)
    assert names(found) == ["foreign parameters", "head not in the optimizer", "left out"]
    assert "Make the optimizer after it" in str(found[1])


def test_frozen_batch_norms_that_drift():
    model = Small()
    for p in model.layer1.parameters():
        p.requires_grad = False
    assert names(transfer.diagnose(model.train())) == ["drifting batch norm"]
    transfer.freeze(model, until="layer1")
    assert transfer.diagnose(model.train()) == []


def test_batch_norms_that_lag_behind():
    model = Small()
    for module in (model.layer1[1], model.layer2[1]):
        module.momentum = 0.01
    transfer.freeze(model, until="layer1")
    (found,) = transfer.diagnose(model.train())
    assert (found.severity, found.name) == ("warning", "slow batch norm")
    assert "1 batch norms" in found.message
    assert "after 100 steps 37 %" in found.message
    assert transfer.quicken_batch_norms(model, 0.2) == 1
    assert (model.layer1[1].momentum, model.layer2[1].momentum) == (0.01, 0.2)
    assert transfer.diagnose(model.train()) == []


def test_preprocessing_unlike_the_weights():
    weights = models.ResNet50_Weights.DEFAULT
    imagenet = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    same = Compose([Resize(232), CenterCrop(224), ToTensor(), Normalize(*imagenet)])
    assert transfer.diagnose(models.resnet20(), None, weights, same) == []
    cifar = Compose([Resize(32), CenterCrop(32), ToTensor(), Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))])
    found = transfer.diagnose(models.resnet20(), None, weights, cifar)
    assert names(found) == ["preprocessing"] * 3
    assert "mean (0.5, 0.5, 0.5)" in found[0].message
    assert len(transfer.diagnose(models.resnet20(), None, weights, Compose([ToTensor()]))) == 2
    bicubic = ImageClassification(crop_size=224, interpolation="bicubic")
    assert "bicubic" in transfer.diagnose(models.resnet20(), None, weights, bicubic)[0].message


def test_classes():
    model = Small(3)
    assert names(transfer.diagnose(model, classes=["a", "b"])) == ["number of classes"]
    assert names(transfer.diagnose(model, classes=["a", "b", "c"], other_classes=["a", "c", "b"])) == [
        "order of classes"
    ]
    assert names(transfer.diagnose(model, classes=["a", "b", "c"], other_classes=["a", "b", "d"])) == ["classes"]
    for p in model.parameters():
        p.requires_grad_(False)
    assert names(transfer.diagnose(model.eval())) == ["nothing to train", "frozen head"]
