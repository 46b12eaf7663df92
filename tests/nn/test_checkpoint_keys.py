"""Training checkpoints, wrapped and prefixed as scripts write them; heads of another size; keys of older files."""

from collections import OrderedDict

import numpy as np
import pytest
import torch

import minicnn as mc
from minicnn import models, nn


def network() -> nn.Module:
    return nn.Sequential(OrderedDict(conv=nn.Conv2d(1, 2, 3), bn=nn.BatchNorm2d(2), fc=nn.Linear(2, 3)))


def same(a: nn.Module, b: nn.Module) -> bool:
    return all((x == y).all() for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


@pytest.mark.parametrize("place", ["state_dict", "model_state_dict", "model", "net"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod."])
def test_wrapped(place, prefix):
    source, target = network(), network()
    wrapped = {"epoch": 3, place: OrderedDict((prefix + k, v) for k, v in source.state_dict().items()), "optimizer": {}}
    with pytest.warns(UserWarning, match=f"took '{place}' out of the checkpoint"):
        target.load_state_dict(wrapped)
    assert same(source, target)


def test_from_data_parallel(tmp_path):
    theirs = torch.nn.DataParallel(torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2)))
    torch.save(
        {"state_dict": theirs.state_dict(), "best_acc1": 71.2, "arch": "resnet18"}, tmp_path / "checkpoint.pth.tar"
    )
    ours = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    with pytest.warns(UserWarning, match=r"'state_dict' out of the checkpoint and 'module\.' off its keys"):
        ours.load_state_dict(mc.load(tmp_path / "checkpoint.pth.tar"))
    for a, b in zip(ours.state_dict().values(), theirs.module.state_dict().values(), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


@pytest.mark.parametrize("place", ["model", "model_state", "state_dict_ema", "my network"])
def test_beside_other_tensors_and_under_other_names(place):
    """As in PyTorch's tutorial on checkpoints, which saves the loss beside the weights."""
    source, target = network(), network()
    state = {f"module.{key}": value for key, value in source.state_dict().items()}
    optimizer = mc.optim.Adam(source.parameters()).state_dict()
    with pytest.warns(UserWarning, match=rf"took '{place}' out of the checkpoint and 'module\.' off"):
        target.load_state_dict({"epoch": 3, "loss": mc.tensor(0.5), "optimizer": optimizer, place: state})
    assert same(source, target)


def test_of_two_networks_none_is_taken():
    state = network().state_dict()
    with pytest.raises(RuntimeError, match=r'Unexpected key.* "student", "teacher"'):
        network().load_state_dict({"student": state, "teacher": state})
    loop = {"other": {}}
    loop["other"]["again"] = loop
    with pytest.raises(RuntimeError, match="Missing key"):
        network().load_state_dict(loop)


def test_a_prefix_of_ones_own_is_named():
    source = network()
    with pytest.raises(RuntimeError, match="Missing key") as caught:
        source.load_state_dict({f"backbone.{key}": value for key, value in source.state_dict().items()})
    assert "{key.removeprefix('backbone.'): value" in caught.value.__notes__[-1]
    for wrong, remedy in (("x.pth", r"mc\.load\(path\) reads a file"), (source, r"give a state_dict\(\)")):
        with pytest.raises(TypeError, match=remedy):
            source.load_state_dict(wrong)


def test_what_fits_is_left_alone():
    """A model whose own part is called ``module`` or ``model``."""
    source, target = nn.ModuleDict({"module": network()}), nn.ModuleDict({"module": network()})
    target.load_state_dict(source.state_dict())
    assert same(source, target)


def test_what_does_not_fit_is_reported_as_it_came():
    with pytest.raises(RuntimeError, match=r'Unexpected key\(s\) in state_dict: "module.other"'):
        network().load_state_dict({"module.other": mc.zeros(1)})
    with pytest.raises(RuntimeError, match=r"Missing key\(s\)"):
        network().load_state_dict({})


def test_a_head_of_another_size():
    source, target = network(), network()
    target.fc = nn.Linear(2, 5)
    before = target.fc.weight.detach().clone()
    with pytest.raises(RuntimeError, match=r"size mismatch for fc\.weight") as caught:
        target.load_state_dict(source.state_dict())
    assert "skip=['fc']" in caught.value.__notes__[0]
    result = target.load_state_dict(source.state_dict(), skip="fc")
    assert not result.missing_keys
    assert not result.unexpected_keys
    assert (target.fc.weight == before).all()
    assert (target.conv.weight == source.conv.weight).all()
    target.load_state_dict({k: v for k, v in source.state_dict().items() if "fc" not in k}, skip=["fc"])


def test_skip_is_by_whole_names():
    source = nn.ModuleDict({"fc": nn.Linear(1, 1), "fc2": nn.Linear(1, 1)})
    target = nn.ModuleDict({"fc": nn.Linear(1, 1), "fc2": nn.Linear(1, 1)})
    target.load_state_dict(source.state_dict(), skip="fc")
    assert (target["fc2"].weight == source["fc2"].weight).all()
    assert (target["fc"].weight != source["fc"].weight).all()


def test_old_names_of_densenet():
    small = {"growth_rate": 4, "block_config": (2, 2), "num_init_features": 8, "bn_size": 2, "num_classes": 3}
    source, target = models.DenseNet(**small), models.DenseNet(**small)
    old = OrderedDict(
        (
            k.replace("norm1", "norm.1")
            .replace("norm2", "norm.2")
            .replace("conv1", "conv.1")
            .replace("conv2", "conv.2"),
            v,
        )
        for k, v in source.state_dict().items()
    )
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    target.load_state_dict(old)
    assert same(source, target)


def test_batch_norm_of_before_counters():
    source, target = network(), network()
    state = {k: v for k, v in source.state_dict().items() if "num_batches_tracked" not in k}
    target.load_state_dict(state)
    assert same(source, target)
