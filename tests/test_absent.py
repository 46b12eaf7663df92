"""Names of torch that are not here: the error that says so, and that the list is not stale."""

import pytest

import minicnn as mc
from minicnn import absent

PLACES = [mc, mc.Tensor, mc.nn, mc.nn.functional]
# These are in the list for another place than where they are: torch has the functions of nn.functional at the top, too.
ELSEWHERE = {"batch_norm", "bilinear", "ctc_loss", "kl_div", "pairwise_distance", "cosine_similarity", "pdist"}
ELSEWHERE |= {"addmv_", "as_strided_", "detach_", "index_put_", "resize_as_"}


def test_asking_says_what_to_use_instead():
    with pytest.raises(
        AttributeError, match=r"minicnn\.svd is not there: for linear algebra use numpy\.linalg"
    ) as caught:
        mc.svd  # noqa: B018
    assert isinstance(caught.value, NotImplementedError)
    assert not hasattr(mc, "svd")
    assert not hasattr(mc.ones(1), "to_sparse")
    with pytest.raises(absent.NotThere, match="all tensors are dense"):
        mc.ones(1).to_sparse()
    with pytest.raises(absent.NotThere, match="use AdaptiveMaxPool2d"):
        mc.nn.FractionalMaxPool2d  # noqa: B018
    with pytest.raises(absent.NotThere, match="use adaptive_max_pool2d"):
        mc.nn.functional.fractional_max_pool2d  # noqa: B018


def test_an_unknown_name_is_a_plain_error():
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'") as caught:
        mc.nonsense  # noqa: B018
    assert type(caught.value) is AttributeError


def test_nothing_that_is_there_is_listed():
    listed = {name for names, _ in absent.REASONS for name in names.split() if "*" not in name} - ELSEWHERE
    assert not {name for name in listed if any(hasattr(place, name) for place in PLACES)}
