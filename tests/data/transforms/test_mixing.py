"""MixUp and CutMix: what is mixed can be read from the result; the Beta distribution against its moments."""

from collections import namedtuple

import numpy as np
import pytest
import torch
from PIL import Image

import minicnn as mc
from minicnn.data import DataLoader, TensorDataset, default_collate
from minicnn.data import transforms as T
from minicnn.data.transforms.mixing import beta

RNG = np.random.default_rng(0)
IMAGES, LABELS = mc.from_numpy(RNG.random((5, 3, 12, 16), dtype=np.float32)), mc.tensor([0, 2, 1, 2, 0])
ONE_HOT = np.eye(3, dtype=np.float32)[LABELS.numpy()]


@pytest.mark.parametrize("seed", range(5))
def test_mixup_mixes_images_and_labels_by_one_share(seed):
    mc.manual_seed(seed)
    images, labels = T.MixUp(num_classes=3)(IMAGES, LABELS)
    x = IMAGES.numpy()
    lam = labels.numpy()[1, 2]  # sample 1, of class 2, has a partner of class 0
    assert 0 < lam < 1
    np.testing.assert_allclose(labels.numpy(), lam * ONE_HOT + (1 - lam) * np.roll(ONE_HOT, 1, 0), atol=1e-6)
    np.testing.assert_allclose(images.numpy(), lam * x + (1 - lam) * np.roll(x, 1, 0), atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_cutmix_replaces_a_rectangle_and_counts_its_area(seed):
    mc.manual_seed(seed)
    images, labels = T.CutMix(num_classes=3)(IMAGES, LABELS)
    x, mixed = IMAGES.numpy(), images.numpy()
    from_before = (mixed == np.roll(x, 1, 0)).all((0, 1))
    own = (mixed == x).all((0, 1))
    assert (from_before ^ own).all()
    rows, columns = from_before.any(1), from_before.any(0)
    np.testing.assert_array_equal(from_before, np.outer(rows, columns))
    lam = own.mean()
    np.testing.assert_allclose(labels.numpy(), lam * ONE_HOT + (1 - lam) * np.roll(ONE_HOT, 1, 0), atol=1e-6)


def test_cutmix_areas_are_one_minus_lam_but_for_what_is_outside():
    mc.manual_seed(0)
    x, y = mc.zeros(2, 1, 32, 32), mc.tensor([[1.0, 0.0], [0.0, 1.0]])
    shares = np.array([T.CutMix()(x, y)[1][0, 1].item() for _ in range(800)])
    # E[1 - lam] = 1/2; a square of side s about a uniform centre keeps (s - s^2 / 4)^2 of s^2: E = 1/2 - 2/5 * ... by
    # integrating over s^2 uniform: 1/2 - int s^3 / 2 + int s^4 / 16 = 1/2 - 1/5 + 1/48
    assert abs(shares.mean() - (1 / 2 - 1 / 5 + 1 / 48)) < 0.03
    assert shares.max() <= 1


@pytest.mark.parametrize("alpha", [0.05, 0.2, 1.0, 3.0])
def test_beta_has_its_moments(alpha):
    generator = mc.Generator().manual_seed(1)
    drawn = np.array([beta(generator, alpha) for _ in range(4000)])
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    variance = 1 / (4 * (2 * alpha + 1))
    assert abs(drawn.mean() - 0.5) < 5 * np.sqrt(variance / 4000)
    assert abs(drawn.var() / variance - 1) < 0.08
    theirs = torch.distributions.Beta(alpha, alpha).sample((4000,)).numpy()
    grid = np.linspace(0, 1, 51)
    distance = np.abs((drawn[:, None] <= grid).mean(0) - (theirs[:, None] <= grid).mean(0)).max()
    assert distance < 0.0436  # Kolmogorov and Smirnov's for a chance of 0.001


def test_a_tiny_alpha_does_not_overflow():
    generator = mc.Generator().manual_seed(1)
    assert {round(beta(generator, 1e-4)) for _ in range(50)} == {0, 1}


def test_soft_labels_go_into_cross_entropy():
    mc.manual_seed(0)
    _, labels = T.MixUp(num_classes=3)(IMAGES, LABELS)
    logits = RNG.standard_normal((5, 3)).astype(np.float32)
    ours = mc.nn.functional.cross_entropy(mc.from_numpy(logits), labels).item()
    theirs = torch.nn.functional.cross_entropy(torch.from_numpy(logits), torch.from_numpy(labels.numpy())).item()
    assert abs(ours - theirs) < 1e-6


def test_probabilities_dictionaries_and_other_containers():
    pair = namedtuple("pair", "image target")
    soft = mc.from_numpy(ONE_HOT.astype(np.float64))
    weights = mc.arange(5)
    for batch, get in (
        ([IMAGES, soft], lambda b: b),
        (pair(IMAGES, soft), lambda b: (b.image, b.target)),
        ({"x": IMAGES, "labels": soft, "other label": 3}, lambda b: (b["x"], b["labels"])),
        ((IMAGES, {"my_Label": soft, "path": "a"}, weights), lambda b: (b[0], b[1]["my_Label"])),
    ):
        mc.manual_seed(3)
        result = T.MixUp()(batch)
        assert type(result) is type(batch)
        images, labels = get(result)
        assert labels.dtype == mc.float64
        lam = labels[1, 2].item()
        np.testing.assert_allclose(images[1].numpy(), (lam * IMAGES[1] + (1 - lam) * IMAGES[0]).numpy(), atol=1e-6)
    assert result[2] is weights
    assert result[1]["path"] == "a"
    last = T.CutMix(num_classes=3, labels_getter=lambda batch: batch[-1])((IMAGES, "name", LABELS))
    assert last[2].shape == (5, 3)
    assert T.CutMix(num_classes=3)(mc.ones(2, 1, 4, 4, dtype=mc.uint8), mc.tensor([1, 2]))[0].dtype == mc.uint8


@pytest.mark.parametrize("mixing", [T.MixUp(num_classes=4), T.CutMix(num_classes=4)])
def test_in_a_collate_fn_it_is_the_same_for_any_number_of_workers(mixing):
    data = TensorDataset(mc.from_numpy(RNG.random((24, 1, 6, 6), dtype=np.float32)), mc.arange(24) % 4)

    def loader(workers):
        return DataLoader(
            data, 4, True, num_workers=workers, collate_fn=lambda samples: mixing(default_collate(samples)),
            generator=mc.Generator().manual_seed(5),
        )  # fmt: skip

    alone = [images.numpy() for images, _ in loader(0)]
    assert len({image.tobytes() for image in alone}) == 6
    for workers in (1, 3):
        for a, (b, _) in zip(alone, loader(workers), strict=True):
            np.testing.assert_array_equal(a, b.numpy())
    interrupted = loader(0)
    batches = iter(interrupted)
    next(batches), next(batches)
    resumed = loader(2)
    resumed.load_state_dict(interrupted.state_dict())
    for a, (b, _) in zip(alone[2:], resumed, strict=True):
        np.testing.assert_array_equal(a, b.numpy())


@pytest.mark.parametrize(
    ("do", "message"),
    [
        (lambda: T.MixUp(alpha=0), "alpha: expected a number above 0"),
        (lambda: T.MixUp(labels_getter=3), "labels_getter: expected a function"),
        (lambda: T.MixUp()(IMAGES, LABELS), "num_classes must be passed"),
        (lambda: T.MixUp(num_classes=2)(IMAGES, LABELS), "labels: expected 0 to 1, got 0 to 2"),
        (lambda: T.MixUp(num_classes=3)(IMAGES, LABELS.float()), "labels: expected whole numbers"),
        (lambda: T.MixUp(num_classes=3)(IMAGES, mc.zeros(5, 4)), "labels: 4 classes in a tensor"),
        (lambda: T.MixUp(num_classes=3)(IMAGES, mc.zeros(5, 4, 1)), "numbers of classes"),
        (lambda: T.MixUp(num_classes=3)(IMAGES, [1, 2]), "Could not infer where the labels are"),
        (lambda: T.MixUp(num_classes=3, labels_getter=lambda b: 3)(IMAGES), "The labels must be a tensor, but got int"),
        (lambda: T.MixUp(num_classes=3)(IMAGES[0], LABELS), r"expected a batch of images \(n, c, h, w\), got a tensor"),
        (lambda: T.CutMix(num_classes=3)(IMAGES[:3], LABELS), "CutMix: 3 images, but 5 labels"),
        (
            lambda: T.MixUp(num_classes=3)(mc.zeros(5, 1, 2, 2, dtype=mc.uint8), LABELS),
            "expected floating-point images",
        ),
        (lambda: T.MixUp(num_classes=3)(Image.new("L", (2, 2)), LABELS), "do not take PIL images"),
        (lambda: T.MixUp(num_classes=3)(["a", LABELS]), "got no tensor beside the labels"),
    ],
)
def test_errors(do, message):
    with pytest.raises(ValueError, match=message):
        do()


def test_reprs():
    assert repr(T.MixUp(num_classes=3, alpha=0.2)) == "MixUp(alpha=0.2, num_classes=3)"
    assert repr(T.CutMix(num_classes=3)) == "CutMix(alpha=1.0, num_classes=3)"
