"""What device-agnostic programs ask and set at their start goes through; the names are torch's."""

import importlib

import pytest
import torch

import minicnn as mc


@pytest.mark.parametrize("place", ["cuda", "accelerator", "backends.cuda", "backends.cudnn", "backends.mps"])
def test_names_are_torchs(place):
    ours, theirs = importlib.import_module(f"minicnn.{place}"), importlib.import_module(f"torch.{place}")
    names = {name for name in vars(ours) if not name.startswith("_")} - {"annotations", "device", "SimpleNamespace"}
    assert names
    assert not {name for name in names if not hasattr(theirs, name)}


def test_the_lines_that_programs_begin_with():
    import minicnn.backends.cudnn as cudnn

    cudnn.benchmark = True
    mc.backends.cudnn.deterministic = True
    mc.backends.cuda.matmul.allow_tf32 = True
    mc.cuda.manual_seed(0)
    mc.cuda.manual_seed_all(0)
    mc.cuda.empty_cache()
    assert not any(place.is_available() for place in (mc.cuda, mc.accelerator, mc.backends.mps, mc.backends.cudnn))
    assert mc.accelerator.current_accelerator() is None
    assert (mc.cuda.device_count(), mc.accelerator.device_count(), cudnn.version()) == (0, 0, None)
    assert not mc.backends.cuda.is_built()
    assert not mc.backends.mps.is_built()
    assert isinstance(torch.accelerator.is_available(), bool)
    for name, remedy in (("hub", "get_model"), ("amp", "leave autocast"), ("io", "read pictures")):
        with pytest.raises(AttributeError, match=remedy):
            getattr(mc, name)


def test_torchvisions_places():
    from minicnn import datasets, transforms

    assert datasets.ImageFolder is mc.data.ImageFolder
    assert transforms.RandomResizedCrop is transforms.v2.RandomResizedCrop is mc.data.transforms.RandomResizedCrop
    assert mc.utils.make_grid is mc.data.make_grid
