"""EfficientNet-Lite0 with its real ImageNet weights: logits of the original, and what it sees on two photographs."""

from __future__ import annotations

from importlib import resources

import numpy as np
import pytest

import minicnn as mc
from minicnn import models
from minicnn.models.classifier import Classifier
from tests.helpers.formula_weights import digest, formula_input, reference

CASE = reference("efficientnet_lite0")["published_weights"]


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier("efficientnet_lite0")


def test_the_weights_are_the_published_ones(classifier):
    assert digest(value.numpy() for value in classifier.model.state_dict().values()) == CASE["weights_sha256"]


@pytest.mark.parametrize("dtype", [mc.float32, mc.float64])
def test_logits(dtype):
    model = models.efficientnet_lite0(weights="DEFAULT").to(dtype).eval()
    x = mc.from_numpy(formula_input(CASE["input_seed"], tuple(CASE["input_shape"]))).to(dtype)
    with mc.no_grad():
        logits = model(x).numpy().ravel()
    expected = np.ravel(CASE["logits"])
    # Ten times PyTorch's own float32 error; in float64 rounding over sixty layers.
    atol = 10 * CASE["float32_max_abs_error"] if dtype is mc.float32 else 1e-9 * np.abs(expected).max()
    np.testing.assert_allclose(logits, expected, rtol=0, atol=atol)
    assert logits.argmax() == 21


# What a person would call sensible as the first guess. The rest of what these packages ship is of no class of ImageNet's.
PHOTOGRAPHS = [
    ("sklearn.datasets.images", "china.jpg", {"palace", "monastery", "bell cote"}),
    ("sklearn.datasets.images", "flower.jpg", {"daisy"}),
    ("skimage.data", "chelsea.png", {"tabby", "tiger cat", "Egyptian cat"}),
    ("skimage.data", "coffee.png", {"espresso", "cup"}),
    ("skimage.data", "rocket.jpg", {"missile", "projectile", "space shuttle"}),
    ("skimage.data", "camera.png", {"tripod"}),  # grey; the photographer is of no class, what he holds on to is
    ("skimage.data", "motorcycle_left.png", {"moped", "motor scooter"}),
]


@pytest.mark.parametrize(("package", "photo", "seen"), PHOTOGRAPHS, ids=[photo for _, photo, _ in PHOTOGRAPHS])
def test_photographs(classifier, package, photo, seen):
    """Scikit-learn ships a temple by a lake and a flower; scikit-image a cat, a cup of coffee and others."""
    pytest.importorskip(package.partition(".")[0])
    with resources.as_file(resources.files(package) / photo) as path:
        guesses = classifier(path)
    assert guesses[0][0] in seen
    assert sum(probability for _, probability in guesses) == pytest.approx(1)
    assert len(guesses) == 1000


def test_a_file_of_ones_own(classifier, tmp_path):
    mc.save(classifier.model.state_dict(), tmp_path / "mine.pth")
    other = Classifier("efficientnet_lite0", tmp_path / "mine.pth")
    image = mc.rand(224, 224, 3)
    from PIL import Image

    picture = Image.fromarray((image.numpy() * 255).astype(np.uint8))
    assert other(picture)[:5] == classifier(picture)[:5]
