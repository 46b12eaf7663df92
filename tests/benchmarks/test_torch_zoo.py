"""The zoo of PyTorch modules that the benchmarks compare with: the same parameters, the same logits."""

import pytest
import torch

import minicnn as mc
from benchmarks import bench_models
from benchmarks.torch_zoo import builder


@pytest.mark.parametrize("name", ["resnet18", "vgg11_bn", "mobilenet_v3_small", "efficientnet_b0", "vit_b_32"])
def test_parameters_are_those_of_the_zoo(name):
    with torch.device("meta"):
        twin = builder(name)()
    with mc.nn.init.skipped():
        own = getattr(mc.models, name)()
    assert isinstance(twin, torch.nn.Module)
    assert {k: tuple(v.shape) for k, v in twin.state_dict().items()} == {
        k: tuple(v.shape) for k, v in own.state_dict().items()
    }


def test_inference_of_peers_is_checked(monkeypatch):
    sizes = "mobilenet_v3_small", 1, 32
    expected = bench_models.logits(*sizes)
    assert expected.shape == (1, 1000)
    assert expected.std() > 1e-3  # batch norm keeps them from fading away, layer by layer
    bench_models.infer_minicnn(*sizes, compiled=True)
    monkeypatch.setattr(bench_models, "logits", lambda *sizes: expected + 0.01)
    with pytest.raises(AssertionError, match="a peer's logits differ"):
        bench_models.infer_minicnn(*sizes, compiled=False)
