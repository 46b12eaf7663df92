"""Colours: Pillow's enhancers as oracle for pictures; PyTorch and colorsys for tensors."""

import colorsys
import itertools

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance

import minicnn as mc
from minicnn.data import transforms as T
from minicnn.data.randomness import SampleSource, drawing_from

RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (9, 11, 3), dtype=np.uint8)
COLOURS[0, :4] = [[0, 0, 0], [255, 255, 255], [7, 7, 7], [255, 0, 0]]  # no hue, no saturation; ties


def enhanced(image, name, factor):
    """What torchvision asks of Pillow."""
    if name == "hue":
        if image.mode == "L":
            return image
        h, s, v = image.convert("HSV").split()
        h = h.point([(value + int(factor * 255)) % 256 for value in range(256)])
        return Image.merge("HSV", (h, s, v)).convert(image.mode)
    enhancer = {"brightness": "Brightness", "contrast": "Contrast", "saturation": "Color"}[name]
    return getattr(ImageEnhance, enhancer)(image).enhance(factor)


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
@pytest.mark.parametrize(
    ("name", "factor"),
    [
        *itertools.product(("brightness", "contrast", "saturation"), (0, 0.3, 1.7)),
        *itertools.product(("hue",), (-0.5, -0.2, 0.1, 0.5)),
    ],
)
def test_a_picture_is_changed_by_pillow(mode, name, factor):
    image = Image.fromarray(COLOURS).convert(mode)
    result = T.ColorJitter(**{name: (factor, factor)})(image)
    assert result.mode == mode
    np.testing.assert_array_equal(np.asarray(result), np.asarray(enhanced(image, name, factor)))


def test_all_four_are_applied_in_a_random_order():
    image = Image.fromarray(COLOURS)
    factors = {"brightness": 1.4, "contrast": 0.5, "saturation": 1.6, "hue": 0.25}
    possible = {}
    for order in itertools.permutations(factors):
        expected = image
        for name in order:
            expected = enhanced(expected, name, factors[name])
        possible.setdefault(np.asarray(expected).tobytes(), []).append(order)
    jitter = T.ColorJitter(**{name: (factor, factor) for name, factor in factors.items()})
    mc.manual_seed(0)
    seen = {np.asarray(jitter(image)).tobytes() for _ in range(300)}
    assert seen == set(possible)  # 24 orders; the chance to miss one is below 1e-4


def torchs(x, name, factor):
    """torchvision's arithmetic for tensors, in PyTorch."""
    white = 1.0 if x.is_floating_point() else 255
    work = x if x.is_floating_point() else x.float()
    red, green, blue = work.unbind(-3)
    grey = (0.2989 * red + 0.587 * green + 0.114 * blue).to(x.dtype).to(work.dtype)[None]
    dull = {"brightness": torch.zeros_like(work), "contrast": grey.mean(), "saturation": grey}[name]
    return (factor * work + (1.0 - factor) * dull).clamp(0, white).to(x.dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize(("name", "factor"), [*itertools.product(("brightness", "contrast", "saturation"), (0.3, 1.7))])
def test_a_tensor_is_changed_as_in_torchvision(dtype, name, factor):
    x = np.moveaxis(COLOURS, 2, 0) if dtype == np.uint8 else np.moveaxis(COLOURS, 2, 0).astype(dtype) / 255
    result = T.ColorJitter(**{name: (factor, factor)})(mc.from_numpy(x.copy())).numpy()
    expected = torchs(torch.from_numpy(x.copy()), name, factor).numpy()
    assert result.dtype == dtype
    if dtype == np.uint8:
        # the mean of the grey image is summed in another order: a value that is cut off may fall on either side
        assert np.abs(result.astype(int) - expected).max() <= 1
        assert (result == expected).mean() > 0.99
    else:
        np.testing.assert_allclose(result, expected, rtol=4e-6, atol=1e-7)


@pytest.mark.parametrize("shift", [-0.5, -0.21, 0.1, 0.5])
def test_the_hue_of_a_tensor_turns_as_colorsys_says(shift):
    x = np.moveaxis(COLOURS, 2, 0) / 255
    result = T.ColorJitter(hue=(shift, shift))(mc.from_numpy(x.copy())).numpy()
    for y, column in np.ndindex(x.shape[1:]):
        h, s, v = colorsys.rgb_to_hsv(*x[:, y, column])
        # where the hue falls on the border of two of the six sectors, both sides give the same colour
        np.testing.assert_allclose(result[:, y, column], colorsys.hsv_to_rgb((h + shift) % 1, s, v), atol=1e-9)
    eight_bits = T.ColorJitter(hue=(shift, shift))(mc.from_numpy(np.moveaxis(COLOURS, 2, 0).copy())).numpy()
    assert np.abs(eight_bits - result * 255).max() <= 1


def test_grey_tensors_have_no_hue_and_no_saturation():
    x = mc.rand(1, 4, 5)
    assert (T.ColorJitter(saturation=(3, 3), hue=(0.5, 0.5))(x) == x).all()


def test_factors_are_drawn_within_their_limits():
    jitter = T.ColorJitter(0.4, (0.2, 0.9), 2, (-0.1, 0.3))
    assert (jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue) == (
        (0.6, 1.4), (0.2, 0.9), (0, 3), (-0.1, 0.3),
    )  # fmt: skip
    factors = np.array([jitter._draw(SampleSource(0, i, 0)(), 3, 3)[4:] for i in range(300)])
    low, high = np.array([0.6, 0.2, 0, -0.1]), np.array([1.4, 0.9, 3, 0.3])
    assert (factors >= low).all()
    assert (factors <= high).all()
    # the deviation of a uniform number is 0.289 of its span
    np.testing.assert_allclose(factors.std(0) / (high - low), 0.289, atol=0.03)


def test_jitter_of_nothing_is_the_image():
    image, x = Image.fromarray(COLOURS), mc.rand(3, 4, 4)
    nothing = T.ColorJitter()
    assert nothing(image) is image
    assert (nothing(x) == x).all()
    assert repr(nothing) == "ColorJitter(brightness=None, contrast=None, saturation=None, hue=None)"


def test_greys():
    image = Image.fromarray(COLOURS)
    grey = np.asarray(image.convert("L"))
    np.testing.assert_array_equal(np.asarray(T.Grayscale()(image)), grey)
    np.testing.assert_array_equal(np.asarray(T.Grayscale(3)(image)), np.repeat(grey[..., None], 3, 2))
    np.testing.assert_array_equal(np.asarray(T.RandomGrayscale(1)(image)), np.repeat(grey[..., None], 3, 2))
    assert T.RandomGrayscale(0)(image) is image
    assert T.RandomGrayscale(1)(image.convert("L")).mode == "L"
    x = RNG.random((2, 3, 4, 5))
    expected = np.tensordot([0.2989, 0.587, 0.114], x, (0, 1))[:, None]
    np.testing.assert_allclose(T.Grayscale()(mc.from_numpy(x)).numpy(), expected, rtol=1e-12)
    np.testing.assert_allclose(T.Grayscale(3)(mc.from_numpy(x)).numpy(), np.repeat(expected, 3, 1), rtol=1e-12)
    np.testing.assert_allclose(T.RandomGrayscale(1)(mc.from_numpy(x)).numpy(), np.repeat(expected, 3, 1), rtol=1e-12)
    assert T.Grayscale(3)(mc.ones(1, 2, 2)).shape == (3, 2, 2)


@pytest.mark.parametrize("transform", [T.ColorJitter(0.4, 0.4, 0.4, 0.1), T.RandomGrayscale(0.5)])
@pytest.mark.parametrize("kind", ["picture", "tensor"])
def test_repeatable_by_the_sample(transform, kind):
    image = Image.fromarray(COLOURS) if kind == "picture" else T.ToTensor()(COLOURS)

    def results():
        for i in range(6):
            with drawing_from(SampleSource(3, i, 0)):
                yield np.asarray(transform(image) if kind == "picture" else transform(image).numpy()).tobytes()

    first = list(results())
    assert list(results()) == first
    assert len(set(first)) > 1


@pytest.mark.parametrize(
    ("do", "error", "message"),
    [
        (lambda: T.ColorJitter(brightness=-1), ValueError, "brightness is a single number, it must be non negative"),
        (lambda: T.ColorJitter(contrast=(2, 1)), ValueError, "contrast: values should be between"),
        (lambda: T.ColorJitter(saturation="x"), TypeError, "saturation: should be a single number or a list/tuple"),
        (lambda: T.ColorJitter(hue=0.6), ValueError, r"hue: values should be between \(-0.5, 0.5\)"),
        (lambda: T.ColorJitter(1)(mc.zeros(2, 3, 3)), ValueError, r"\(..., 1 or 3, h, w\), got 2 channels"),
        (lambda: T.Grayscale(2), ValueError, "num_output_channels should be either 1 or 3"),
        (lambda: T.Grayscale()(COLOURS), TypeError, "Grayscale: expected a PIL image, got ndarray"),
        (lambda: T.Grayscale()(mc.zeros(3, 3)), ValueError, "1 or 3, h, w"),
        (lambda: T.RandomGrayscale(2), ValueError, "p: expected a probability"),
        (lambda: T.RandomGrayscale(1)(Image.new("RGBA", (2, 2))), ValueError, "either 1 or 3, got 4"),
    ],
)
def test_errors(do, error, message):
    with pytest.raises(error, match=message):
        do()
