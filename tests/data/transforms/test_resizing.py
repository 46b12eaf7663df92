"""Resize: torch's interpolate as oracle for tensors (pictures are compared with Pillow in tests/models)."""

import numpy as np
import pytest
import torch
from PIL import Image

import minicnn as mc
from minicnn.data import transforms as T

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(17, 23), (3, 17, 23), (2, 3, 17, 23)])
@pytest.mark.parametrize(("size", "max_size"), [(8, None), (30, None), ((9, 40), None), ([8], 10)])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
def test_a_tensor_is_resized_as_by_torch(shape, size, max_size, interpolation):
    x = RNG.random(shape)
    transform = T.Resize(size, interpolation, max_size)
    width, height = transform.target(23, 17)
    images = torch.from_numpy(x).reshape(-1, 1, 17, 23)
    smooth = {"align_corners": False, "antialias": True} if interpolation != "nearest" else {}
    expected = torch.nn.functional.interpolate(images, (height, width), mode=interpolation, **smooth)
    np.testing.assert_allclose(
        transform(mc.from_numpy(x)).numpy(),
        expected.reshape(*shape[:-2], height, width).numpy(),
        rtol=1e-12,
        atol=1e-13,
    )


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_bytes_are_rounded_and_near_what_pillow_makes(interpolation):
    pixels = RNG.integers(0, 256, (40, 50), dtype=np.uint8)
    picture = np.asarray(T.Resize(16, interpolation)(Image.fromarray(pixels)))
    tensor = T.Resize(16, interpolation)(mc.from_numpy(pixels))
    assert tensor.dtype == mc.uint8
    # Pillow rounds after each axis, and its bicubic has a = -1/2 where torch's antialiased one has too
    assert np.abs(picture.astype(int) - tensor.numpy()).max() <= 1


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [(500, 375, (341, 256)), (375, 500, (256, 341)), (256, 256, (256, 256)), (333, 250, (340, 256))],
)
def test_the_longer_side_is_cut_off_not_rounded(width, height, expected):
    image = Image.new("RGB", (width, height))
    assert T.Resize(256)(image).size == expected
    assert T.Resize(256)(mc.zeros(height, width)).shape == expected[::-1]


def test_no_work_where_the_size_is_right():
    image = Image.new("L", (6, 4))
    assert T.Resize(4)(image) is image


@pytest.mark.parametrize(
    ("do", "error", "message"),
    [
        (lambda: T.Resize((3, 4), max_size=5), ValueError, "max_size: only where size"),
        (lambda: T.Resize(8, max_size=8)(mc.zeros(9, 9)), ValueError, "max_size: expected more than size 8"),
        (lambda: T.Resize(8, "box")(mc.zeros(9, 9)), ValueError, "tensors are resized with one of 'nearest'"),
        (lambda: T.Resize(8)(mc.zeros(9)), ValueError, r"\(..., h, w\), got shape \(9,\)"),
        (lambda: T.Resize(8)(np.zeros((9, 9))), TypeError, "got ndarray; or a tensor: put ToTensor"),
    ],
)
def test_errors(do, error, message):
    with pytest.raises(error, match=message):
        do()
