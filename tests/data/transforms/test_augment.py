"""Tones and automatic augmentation: Pillow as oracle for pictures; torchvision's rules, in PyTorch, for tensors."""

import math

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

import minicnn as mc
from minicnn.autograd import Tensor
from minicnn.data import transforms as T
from minicnn.data.randomness import SampleSource, drawing_from
from minicnn.data.transforms.batched import batched

RNG = np.random.default_rng(0)
PIXELS = np.clip(RNG.normal(110, 40, (23, 31, 3)), 0, 255).astype(np.uint8)
IMAGE = Image.fromarray(PIXELS)
PLANES = np.ascontiguousarray(np.moveaxis(PIXELS, 2, 0))

CASES = {
    "invert": (T.RandomInvert(p=1), ImageOps.invert),
    "posterize": (T.RandomPosterize(3, p=1), lambda image: ImageOps.posterize(image, 3)),
    "solarize": (T.RandomSolarize(120, p=1), lambda image: ImageOps.solarize(image, 120)),
    "blur": (T.RandomAdjustSharpness(0.3, p=1), lambda image: ImageEnhance.Sharpness(image).enhance(0.3)),
    "sharpen": (T.RandomAdjustSharpness(2, p=1), lambda image: ImageEnhance.Sharpness(image).enhance(2)),
    "autocontrast": (T.RandomAutocontrast(p=1), ImageOps.autocontrast),
    "equalize": (T.RandomEqualize(p=1), ImageOps.equalize),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_tones_of_pictures_are_pillows_and_those_of_tensors_near(name, mode):
    transform, expected = CASES[name]
    image = IMAGE.convert(mode)
    result = np.asarray(transform(image))
    np.testing.assert_array_equal(result, np.asarray(expected(image)))
    tensor = transform(T.PILToTensor()(image)).numpy()
    difference = np.abs(np.moveaxis(tensor, 0, 2).squeeze().astype(int) - result).max()
    # exact, but for how Pillow rounds: of smoothing, of mixing, of the stretched values
    assert difference <= (2 if name in ("sharpen", "blur", "autocontrast") else 0)


@pytest.mark.parametrize("name", ["invert", "solarize", "blur", "sharpen", "autocontrast"])
def test_tones_of_floating_point_tensors(name):
    x = torch.from_numpy(PLANES.astype(np.float64) / 255)
    x[2] = 0.5  # a plane without contrast
    kernel = torch.ones(3, 1, 3, 3, dtype=torch.float64)
    kernel[..., 1, 1] = 5
    smooth = x.clone()
    smooth[:, 1:-1, 1:-1] = torch.nn.functional.conv2d(x[None], kernel / 13, groups=3)[0]
    low, high = x.amin((1, 2), keepdim=True), x.amax((1, 2), keepdim=True)
    expected = {
        "invert": 1 - x,
        "solarize": torch.where(x >= 120 / 255, 1 - x, x),
        "blur": 0.3 * x + 0.7 * smooth,
        "sharpen": (2 * x - smooth).clamp(0, 1),
        "autocontrast": torch.where(high == low, x, (x - low) / torch.where(high == low, 1, high - low)),
    }[name]
    transform = T.RandomSolarize(120 / 255, p=1) if name == "solarize" else CASES[name][0]
    np.testing.assert_allclose(transform(mc.from_numpy(x.numpy())).numpy(), expected.numpy(), atol=1e-12)


def test_small_and_flat_images():
    assert (T.RandomAdjustSharpness(3, p=1)(mc.ones(1, 2, 5)) == 1).all()
    flat = mc.full((1, 4, 4), 7, dtype=mc.uint8)
    assert (T.RandomEqualize(p=1)(flat) == 7).all()
    assert (T.RandomAutocontrast(p=1)(flat) == 7).all()
    assert T.RandomInvert(p=0)(IMAGE) is IMAGE


def test_tones_happen_with_their_probability_and_in_batches():
    transform = T.RandomInvert(0.3)
    images = RNG.random((200, 1, 2, 2))
    result = batched(transform)(images, [SampleSource(0, i, 0)() for i in range(200)])
    inverted = (result == 1 - images).all((1, 2, 3))
    assert abs(inverted.sum() - 60) < 33
    np.testing.assert_array_equal(result[~inverted], images[~inverted])


# ---- RandAugment, TrivialAugmentWide


def operation(image, name, magnitude):
    """What torchvision documents for each name, by Pillow."""
    affine = {
        "ShearX": (1, magnitude, 0, 0, 1, 0),
        "ShearY": (1, 0, 0, magnitude, 1, 0),
        "TranslateX": (1, 0, -int(magnitude), 0, 1, 0),
        "TranslateY": (1, 0, 0, 0, 1, -int(magnitude)),
    }
    if name in affine:
        return image.transform(
            image.size, Image.Transform.AFFINE, affine[name], Image.Resampling.NEAREST, fillcolor=(9,) * 3
        )
    enhancers = {"Brightness": "Brightness", "Color": "Color", "Contrast": "Contrast", "Sharpness": "Sharpness"}
    if name in enhancers:
        return getattr(ImageEnhance, name)(image).enhance(1 + magnitude)
    return {
        "Identity": lambda: image,
        "Rotate": lambda: image.rotate(magnitude, fillcolor=(9,) * 3),
        "Posterize": lambda: ImageOps.posterize(image, int(magnitude)),
        "Solarize": lambda: ImageOps.solarize(image, magnitude),
        "AutoContrast": lambda: ImageOps.autocontrast(image),
        "Equalize": lambda: ImageOps.equalize(image),
        "Invert": lambda: ImageOps.invert(image),
    }[name]()


def magnitudes(kind, bins=31):
    """name -> all magnitudes, as torchvision's tables say."""
    wide = kind is T.TrivialAugmentWide
    height, width = PIXELS.shape[:2]
    ends = {
        "ShearX": 0.99 if wide else 0.3,
        "ShearY": 0.99 if wide else 0.3,
        "TranslateX": 32.0 if wide else 150.0 / 331.0 * width,
        "TranslateY": 32.0 if wide else 150.0 / 331.0 * height,
        "Rotate": 135.0 if wide else 30.0,
        **dict.fromkeys(("Brightness", "Color", "Contrast", "Sharpness"), 0.99 if wide else 0.9),
    }
    signed = {name: np.linspace(0, end, bins) for name, end in ends.items()}
    table = {name: np.concatenate([values, -values]) for name, values in signed.items()}
    table["Posterize"] = 8 - np.round(np.arange(bins) / ((bins - 1) / (6 if wide else 4)))
    table["Solarize"] = np.linspace(255, 0, bins)
    return table | dict.fromkeys(("Identity", "AutoContrast", "Equalize"), np.zeros(1))


def test_trivial_augment_draws_all_of_its_operations_and_no_other():
    by_result = {}
    for name, values in magnitudes(T.TrivialAugmentWide).items():
        for value in values:
            by_result.setdefault(np.asarray(operation(IMAGE, name, float(value))).tobytes(), set()).add(name)
    transform = T.TrivialAugmentWide(fill=9)
    mc.manual_seed(0)
    seen, strangers = [], 0
    for _ in range(600):
        found = by_result.get(np.asarray(transform(IMAGE)).tobytes())
        strangers += found is None
        seen += list(found)[:1] if found is not None and len(found) == 1 else []
    # Shears are given as angles: rounding of tan(atan(m)) may move a pixel that lies on a border
    assert strangers <= 6
    counts = {name: seen.count(name) for name in set(seen)}
    assert set(counts) == set(magnitudes(T.TrivialAugmentWide)) - {"Identity"}  # which others at strength 0 are too
    assert max(counts.values()) < 43 + 5 * math.sqrt(43)


def test_rand_augment_has_one_strength():
    for magnitude in (0, 9, 30):
        values = magnitudes(T.RandAugment)
        possible = set()
        for name, table in values.items():
            chosen = {1: table[:1], 31: table[magnitude : magnitude + 1], 62: table[magnitude::31]}[len(table)]
            possible |= {np.asarray(operation(IMAGE, name, float(value))).tobytes() for value in chosen}
        transform = T.RandAugment(num_ops=1, magnitude=magnitude, fill=9)
        mc.manual_seed(0)
        results = [np.asarray(transform(IMAGE)).tobytes() for _ in range(80)]
        assert sum(result not in possible for result in results) <= 1
        assert len(set(results)) >= (3 if magnitude == 0 else 13)


@pytest.mark.parametrize("policy", ["imagenet", "cifar10", "svhn"])
def test_auto_augment_gives_what_its_policy_allows(policy):
    transform = T.AutoAugment(policy, fill=9)
    assert len(transform.policies) == 25
    table = magnitudes(T.RandAugment, bins=10) | {"Invert": np.zeros(1)}

    def outcomes(image, name, probability, level):
        values = table[name]
        chosen = values[:1] if len(values) == 1 else values[level::10] if len(values) == 20 else values[[level]]
        done = [operation(image, name, float(value)) for value in chosen] if probability > 0 else []
        return done + ([image] if probability < 1 else [])

    possible = set()
    for first, second in transform.policies:
        for image in outcomes(IMAGE, *first):
            possible |= {np.asarray(result).tobytes() for result in outcomes(image, *second)}
    mc.manual_seed(0)
    results = [np.asarray(transform(IMAGE)).tobytes() for _ in range(300)]
    assert sum(result not in possible for result in results) <= 3  # a shear's rounded angle moves a pixel on a border
    assert len(set(results)) > 40


def test_the_policies_of_the_paper():
    imagenet, svhn = T.AutoAugment().policies, T.AutoAugment(T.AutoAugmentPolicy.SVHN).policies
    assert imagenet[0] == (("Posterize", 0.4, 8), ("Rotate", 0.6, 9))
    assert svhn[15] == (("Invert", 0.8, 0), ("TranslateY", 0.0, 2))
    names = [name for pair in T.AutoAugment("cifar10").policies for name, _, _ in pair]
    assert (names.count("Equalize"), names.count("Invert"), names.count("Rotate"), len(names)) == (9, 3, 1, 50)


def test_augmix_mixes_with_weights_that_sum_to_one(monkeypatch):
    x = mc.from_numpy(np.stack([PLANES, PLANES]))
    monkeypatch.setattr(T.AugMix, "_step", lambda self, image, generator, level: image)
    assert np.abs(T.AugMix()(x).numpy().astype(int) - x.numpy()).max() <= 1  # cut off, as torch's conversion does
    assert np.abs(np.asarray(T.AugMix()(IMAGE)).astype(int) - PIXELS).max() <= 1
    monkeypatch.setattr(T.AugMix, "_step", lambda self, image, generator, level: Tensor(255 - image._array))
    mc.manual_seed(0)
    shares = []
    for _ in range(150):
        for image, result in zip(x.numpy(), T.AugMix(chain_depth=1)(x).numpy(), strict=True):
            slope, _ = np.polyfit(image.reshape(-1).astype(float), result.reshape(-1), 1)
            shares.append((slope + 1) / 2)  # share x + (1 - share) (255 - x)
    # of 300 uniform numbers, the mean within 4 standard errors
    assert abs(np.mean(shares) - 0.5) < 4 / math.sqrt(12 * 300)
    assert abs(np.std(shares) - 1 / math.sqrt(12)) < 0.03
    assert not np.isclose(shares[0], shares[1])  # each image of a batch has its own


def test_augmix_draws_operations_below_its_severity(monkeypatch):
    seen = []
    monkeypatch.setattr(
        T.AugMix, "_applied", lambda self, image, name, magnitude: seen.append((name, magnitude)) or image
    )
    for all_ops, n in ((True, 13), (False, 9)):
        seen.clear()
        mc.manual_seed(0)
        for _ in range(60):
            T.AugMix(severity=4, all_ops=all_ops)(IMAGE)
        assert len({name for name, _ in seen}) == n
        rotations = {round(abs(magnitude), 4) for name, magnitude in seen if name == "Rotate"}
        assert rotations == {0.0, 3.3333, 6.6667, 10.0}
        assert {magnitude for name, magnitude in seen if name == "Posterize"} <= {4, 3}
        assert 3 * 60 * 1.7 < len(seen) < 3 * 60 * 2.3  # one to three operations in each of three chains


@pytest.mark.parametrize("transform", [T.RandAugment(3), T.TrivialAugmentWide(), T.AutoAugment(), T.AugMix()])
def test_they_are_repeatable_and_take_tensors(transform):
    x = mc.from_numpy(PLANES)
    for _ in range(2):
        outcomes = []
        for i in range(40):
            with drawing_from(SampleSource(1, i, 0)):
                outcomes.append(transform(x).numpy())
            assert outcomes[-1].shape == PLANES.shape
            assert outcomes[-1].dtype == np.uint8
        again = outcomes
    for a, b in zip(again, outcomes, strict=True):
        np.testing.assert_array_equal(a, b)
    assert transform(mc.from_numpy(np.stack([PLANES, PLANES]))).shape == (2, *PLANES.shape)


@pytest.mark.parametrize(
    ("do", "error", "message"),
    [
        (lambda: T.RandomPosterize(9), ValueError, "bits: expected 0 to 8"),
        (lambda: T.RandomPosterize(3, p=1)(mc.zeros(1, 3, 3)), TypeError, "posterize: only uint8 tensors"),
        (lambda: T.RandomEqualize(p=1)(mc.zeros(1, 3, 3)), TypeError, "equalize: only uint8 tensors"),
        (lambda: T.RandomSolarize(2, p=1)(mc.zeros(1, 3, 3)), TypeError, "threshold: 2 is above 1"),
        (lambda: T.RandomAdjustSharpness(-1), ValueError, "sharpness_factor: expected"),
        (lambda: T.RandomInvert(2), ValueError, "p: expected a probability"),
        (lambda: T.RandAugment(magnitude=31), ValueError, "magnitude: expected 0 to 30"),
        (
            lambda: T.AutoAugment("mnist"),
            ValueError,
            "policy: expected one of 'imagenet', 'cifar10', 'svhn', got 'mnist'",
        ),
        (lambda: T.AugMix(severity=11), ValueError, "severity: expected 1 to 10, got 11"),
        (lambda: T.AugMix(alpha=0), ValueError, "mixture_width, alpha: expected"),
        (lambda: T.TrivialAugmentWide(1), ValueError, "num_magnitude_bins: expected at least 2"),
        (lambda: T.TrivialAugmentWide()(PIXELS), TypeError, "TrivialAugmentWide: expected a PIL image, got ndarray"),
    ],
)
def test_errors(do, error, message):
    with pytest.raises(error, match=message):
        do()


def test_reprs():
    assert repr(T.RandomPosterize(3)) == "RandomPosterize(bits=3, p=0.5)"
    assert repr(T.RandomEqualize()) == "RandomEqualize(p=0.5)"
    assert repr(T.RandAugment()).startswith("RandAugment(num_ops=2, magnitude=9, num_magnitude_bins=31")
    assert repr(T.AutoAugment()) == "AutoAugment(policy=AutoAugmentPolicy.IMAGENET, fill=None)"
    assert repr(T.AugMix()).startswith("AugMix(severity=3, mixture_width=3, chain_depth=-1, alpha=1.0")
    assert repr(T.TrivialAugmentWide()).startswith("TrivialAugmentWide(num_magnitude_bins=31")
