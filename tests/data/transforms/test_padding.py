"""Pad: NumPy and Pillow as oracles; the same for pictures of every mode and for tensors."""

import numpy as np
import pytest
from PIL import Image, ImageOps

import minicnn as mc
from minicnn.data import transforms as T

RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (6, 7, 3), dtype=np.uint8)


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric"])
@pytest.mark.parametrize(
    ("padding", "sides"),
    [(2, (2, 2, 2, 2)), ([3], (3, 3, 3, 3)), ((1, 3), (1, 3, 1, 3)), ((1, 2, 3, 4), (1, 2, 3, 4))],
)
def test_pictures_and_tensors_as_numpy_pads(mode, padding, sides):
    left, top, right, bottom = sides
    options = {"constant_values": 9} if mode == "constant" else {}
    expected = np.pad(COLOURS, ((top, bottom), (left, right), (0, 0)), mode, **options)
    pad = T.Pad(padding, 9, mode)
    np.testing.assert_array_equal(np.asarray(pad(Image.fromarray(COLOURS))), expected)
    tensor = mc.from_numpy(np.ascontiguousarray(np.moveaxis(COLOURS, 2, 0)))
    np.testing.assert_array_equal(np.moveaxis(pad(tensor).numpy(), 0, 2), expected)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I", "F"])
@pytest.mark.parametrize("padding_mode", ["constant", "edge"])
def test_modes_and_palettes_stay(mode, padding_mode):
    image = Image.fromarray(COLOURS).convert(mode)
    padded = T.Pad(1, padding_mode=padding_mode)(image)
    assert padded.mode == mode
    np.testing.assert_array_equal(np.asarray(padded)[1:-1, 1:-1], np.asarray(image))
    if padding_mode == "constant":
        np.testing.assert_array_equal(np.asarray(padded), np.asarray(ImageOps.expand(image, 1, fill=0)))
    if mode == "P":
        np.testing.assert_array_equal(np.asarray(padded.convert("RGB"))[1:-1, 1:-1], np.asarray(image.convert("RGB")))


def test_a_colour_to_fill_with():
    image = T.Pad(1, fill=(1, 2, 3))(Image.fromarray(COLOURS))
    assert image.getpixel((0, 0)) == (1, 2, 3)
    assert T.Pad(1, fill=(1, 2, 3))(mc.zeros(2, 3, 2, 2))[1, :, 0, 0].tolist() == [1, 2, 3]
    assert T.Pad(1, fill=2.9)(Image.fromarray(COLOURS)).getpixel((0, 0)) == (2, 2, 2)  # cut off, as torchvision does


@pytest.mark.parametrize(
    ("do", "error", "message"),
    [
        (lambda: T.Pad(-1), ValueError, "padding: expected 1, 2 or 4 integers"),
        (lambda: T.Pad(1, padding_mode="wrap"), ValueError, "padding_mode: expected"),
        (
            lambda: T.Pad(1, fill=(1, 2))(Image.fromarray(COLOURS)),
            ValueError,
            "fill: 2 values for an image of mode RGB",
        ),
        (lambda: T.Pad(1)(COLOURS), TypeError, "Pad: expected a PIL image, got ndarray"),
        (lambda: T.Pad(1)(mc.zeros(3)), ValueError, r"\(..., h, w\), got shape \(3,\)"),
    ],
)
def test_errors(do, error, message):
    with pytest.raises(error, match=message):
        do()


def test_repr():
    assert repr(T.Pad(1)) == "Pad(padding=1, fill=0, padding_mode=constant)"
