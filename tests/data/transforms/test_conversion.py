"""Between pictures, tensors and number types: NumPy as oracle, and torchvision's documented rules."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import minicnn as mc
from minicnn.data import transforms as T

RNG = np.random.default_rng(0)
MODES = {
    "1": "bool", "L": "uint8", "P": "uint8", "LA": "uint8", "RGB": "uint8", "RGBA": "uint8", "CMYK": "uint8",
    "YCbCr": "uint8", "HSV": "uint8", "I": "int32", "F": "float32",
}  # fmt: skip


@pytest.mark.parametrize(("mode", "dtype"), MODES.items())
@pytest.mark.parametrize("transform", [T.PILToTensor(), T.ToImage()])
def test_a_picture_keeps_its_values(mode, dtype, transform):
    image = Image.fromarray(RNG.integers(0, 256, (4, 5, 3), dtype=np.uint8)).convert(mode)
    tensor = transform(image)
    assert str(tensor.dtype) == f"minicnn.{dtype}"
    expected = np.asarray(image)
    np.testing.assert_array_equal(tensor.numpy(), expected[None] if expected.ndim == 2 else np.moveaxis(expected, 2, 0))


def test_sixteen_bits_and_arrays():
    deep = Image.fromarray(np.array([[1, 60000]], np.uint16))
    assert T.PILToTensor()(deep).tolist() == [[[1, 60000]]]
    assert T.ToImage()(np.zeros((2, 3, 4), np.uint8)).shape == (4, 2, 3)
    x = mc.zeros(2)
    assert T.ToImage()(x) is x


@pytest.mark.parametrize(
    ("array", "mode", "asked"),
    [
        (RNG.integers(0, 256, (4, 5), dtype=np.uint8), "L", None),
        (RNG.integers(0, 256, (4, 5, 1), dtype=np.uint8), "L", "L"),
        (RNG.integers(0, 256, (4, 5, 2), dtype=np.uint8), "LA", None),
        (RNG.integers(0, 256, (4, 5, 3), dtype=np.uint8), "RGB", None),
        (RNG.integers(0, 256, (4, 5, 3), dtype=np.uint8), "HSV", "HSV"),
        (RNG.integers(0, 256, (4, 5, 3), dtype=np.uint8), "YCbCr", "YCbCr"),
        (RNG.integers(0, 256, (4, 5, 4), dtype=np.uint8), "RGBA", None),
        (RNG.integers(0, 256, (4, 5, 4), dtype=np.uint8), "CMYK", "CMYK"),
        (RNG.integers(0, 9999, (4, 5), dtype=np.int16), "I;16", None),
        (RNG.integers(0, 99999, (4, 5), dtype=np.int32), "I", None),
        (RNG.random((4, 5), dtype=np.float32), "F", None),
    ],
)
def test_arrays_and_tensors_become_pictures(array, mode, asked):
    tensor = mc.from_numpy(np.moveaxis(array.reshape(4, 5, -1), 2, 0).copy())
    inputs = [array] if mode == "F" else [array, tensor]
    for pic in inputs:
        image = T.ToPILImage(asked)(pic)
        assert image.mode == mode
        np.testing.assert_array_equal(np.asarray(image), array.reshape(np.asarray(image).shape))
    if mode == "F":
        np.testing.assert_array_equal(np.asarray(T.ToPILImage("F")(tensor)), array)


def test_floating_point_tensors_are_eight_bits():
    x = mc.tensor([[[0.0, 0.5, 1.0]]], dtype=mc.float64)
    assert np.asarray(T.ToPILImage()(x)).tolist() == [[0, 127, 255]]
    colours = RNG.integers(0, 256, (3, 4, 3), dtype=np.uint8)
    there_and_back = np.asarray(T.ToPILImage()(T.ToTensor()(colours)))
    np.testing.assert_array_equal(there_and_back, colours)


@given(st.sampled_from(["float32", "float64"]), st.sampled_from(["uint8", "int8", "int16", "float32", "float64"]))
def test_white_stays_white_and_black_black(source, target):
    ends = mc.tensor([0.0, 1.0], dtype=getattr(mc, source))
    there = T.ConvertImageDtype(getattr(mc, target))(ends)
    assert there.dtype == getattr(mc, target)
    assert there.tolist() == [0, 1 if target.startswith("float") else np.iinfo(target).max]
    assert T.ConvertImageDtype(getattr(mc, source))(there).tolist() == [0, 1]


def test_whole_numbers_to_whole_numbers():
    x = mc.tensor([0, 1, 127, 255], dtype=mc.uint8)
    assert T.ConvertImageDtype(mc.int16)(x).tolist() == [0, 128, 127 * 128, 255 * 128]
    assert T.ConvertImageDtype(mc.uint8)(T.ConvertImageDtype(mc.int32)(x)).tolist() == [0, 1, 127, 255]
    assert T.ConvertImageDtype()(x).dtype == mc.float32
    every = mc.from_numpy(np.arange(256, dtype=np.uint8))
    assert (T.ConvertImageDtype(mc.uint8)(T.ConvertImageDtype(mc.float32)(every)) == every).all()


def test_to_dtype():
    x = mc.tensor([0, 255], dtype=mc.uint8)
    assert T.ToDtype(mc.float32)(x).tolist() == [0, 255]
    assert T.ToDtype(mc.float32, scale=True)(x).tolist() == [0, 1]
    image = Image.new("L", (2, 2))
    assert T.ToDtype(mc.float32)(image) is image


@pytest.mark.parametrize(
    ("do", "error", "message"),
    [
        (lambda: T.PILToTensor()(np.zeros((2, 2))), TypeError, "expected a PIL image, got ndarray"),
        (lambda: T.ToImage()(np.zeros(2)), ValueError, r"got shape \(2,\)"),
        (lambda: T.ToPILImage()(Image.new("L", (2, 2))), TypeError, "got a PIL image already"),
        (lambda: T.ToPILImage()([1]), TypeError, "got list"),
        (lambda: T.ToPILImage()(mc.zeros(2)), ValueError, "2 or 3 dimensions, got 1"),
        (lambda: T.ToPILImage()(mc.zeros(5, 2, 2)), ValueError, "1 to 4 channels, got 5"),
        (lambda: T.ToPILImage("RGBA")(mc.zeros(3, 2, 2)), ValueError, "mode: 'RGBA' for 3 channels"),
        (lambda: T.ToPILImage()(np.zeros((2, 2))), TypeError, "no image has 1 channels of float64"),
        (lambda: T.ToPILImage()(np.zeros((2, 2, 3))), TypeError, "no image has 3 channels of float64"),
        (lambda: T.ConvertImageDtype()(np.zeros(2)), TypeError, "got ndarray; put PILToTensor"),
        (lambda: T.ConvertImageDtype(mc.int64)(mc.zeros(2)), RuntimeError, "cannot be performed safely"),
        (lambda: T.ConvertImageDtype("complex64"), TypeError, "not supported"),
    ],
)
def test_errors(do, error, message):
    with pytest.raises(error, match=message):
        do()


def test_reprs():
    assert [repr(t) for t in (T.PILToTensor(), T.ToImage(), T.ToPILImage(), T.ToPILImage("L"))] == [
        "PILToTensor()", "ToImage()", "ToPILImage()", "ToPILImage(mode=L)",
    ]  # fmt: skip
    assert repr(T.ConvertImageDtype(mc.uint8)) == "ConvertImageDtype(dtype=minicnn.uint8)"
    assert repr(T.ToDtype(mc.float32, scale=True)) == "ToDtype(dtype=minicnn.float32, scale=True)"
