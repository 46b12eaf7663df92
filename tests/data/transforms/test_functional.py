"""The transforms as functions: Pillow's own functions and PyTorch's arithmetic as oracles."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

import minicnn as mc
from minicnn.data.transforms import InterpolationMode
from minicnn.data.transforms import functional as TF

RNG = np.random.default_rng(0)
PIXELS = np.clip(RNG.normal(110, 50, (21, 30, 3)), 0, 255).astype(np.uint8)
IMAGE = Image.fromarray(PIXELS)
X = np.ascontiguousarray(np.moveaxis(PIXELS, 2, 0)).astype(np.float64) / 255
BILINEAR = Image.Resampling.BILINEAR


def gamma(image):
    return Image.fromarray((255.999 * (np.asarray(image) / 255.0) ** 0.7).astype(np.uint8))


PICTURES = {
    "resize": (lambda x: TF.resize(x, [10, 12]), lambda x: x.resize((12, 10), BILINEAR)),
    "pad": (lambda x: TF.pad(x, (1, 2), 9), lambda x: ImageOps.expand(x, (1, 2, 1, 2), (9, 9, 9))),
    "crop": (lambda x: TF.crop(x, -2, 3, 9, 40), lambda x: x.crop((3, -2, 43, 7))),
    "center_crop": (lambda x: TF.center_crop(x, 11), lambda x: x.crop((10, 5, 21, 16))),
    "resized_crop": (
        lambda x: TF.resized_crop(x, 1, 2, 9, 10, (5, 5)),
        lambda x: x.crop((2, 1, 12, 10)).resize((5, 5), BILINEAR),
    ),
    "hflip": (TF.hflip, ImageOps.mirror),
    "vflip": (TF.vflip, ImageOps.flip),
    "rotate": (lambda x: TF.rotate(x, 33, InterpolationMode.BILINEAR), lambda x: x.rotate(33, BILINEAR)),
    "rotate and expand": (lambda x: TF.rotate(x, 33, expand=True), lambda x: x.rotate(33, expand=True)),
    "affine": (
        lambda x: TF.affine(x, 0, (3, -2), 1.0, 0, fill=5),
        lambda x: x.transform(x.size, Image.Transform.AFFINE, (1, 0, -3, 0, 1, 2), fillcolor=(5, 5, 5)),
    ),
    "adjust_brightness": (lambda x: TF.adjust_brightness(x, 1.3), lambda x: ImageEnhance.Brightness(x).enhance(1.3)),
    "adjust_contrast": (lambda x: TF.adjust_contrast(x, 0.5), lambda x: ImageEnhance.Contrast(x).enhance(0.5)),
    "adjust_saturation": (lambda x: TF.adjust_saturation(x, 2), lambda x: ImageEnhance.Color(x).enhance(2)),
    "adjust_sharpness": (lambda x: TF.adjust_sharpness(x, 0), lambda x: ImageEnhance.Sharpness(x).enhance(0)),
    "adjust_gamma": (lambda x: TF.adjust_gamma(x, 0.7), gamma),
    "to_grayscale": (lambda x: TF.to_grayscale(x, 3), lambda x: x.convert("L").convert("RGB")),
    "rgb_to_grayscale": (TF.rgb_to_grayscale, lambda x: x.convert("L")),
    "invert": (TF.invert, ImageOps.invert),
    "posterize": (lambda x: TF.posterize(x, 3), lambda x: ImageOps.posterize(x, 3)),
    "solarize": (lambda x: TF.solarize(x, 90), lambda x: ImageOps.solarize(x, 90)),
    "autocontrast": (TF.autocontrast, ImageOps.autocontrast),
    "equalize": (TF.equalize, ImageOps.equalize),
}


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_pillows(name):
    ours, pillows = PICTURES[name]
    np.testing.assert_array_equal(np.asarray(ours(IMAGE)), np.asarray(pillows(IMAGE)))


def grey(x):
    return 0.2989 * x[..., :1, :, :] + 0.587 * x[..., 1:2, :, :] + 0.114 * x[..., 2:, :, :]


TENSORS = {
    "crop": (lambda x: TF.crop(x, -2, 3, 9, 40), lambda x: torch.nn.functional.pad(x, (0, 13, 2, 0))[..., :9, 3:]),
    "hflip": (TF.hflip, lambda x: x.flip(-1)),
    "vflip": (TF.vflip, lambda x: x.flip(-2)),
    "rotate": (lambda x: TF.rotate(x, 180), lambda x: x.flip(-1, -2)),
    "affine": (lambda x: TF.affine(x, 0, (4, 0), 1.0, (0, 0)), lambda x: torch.nn.functional.pad(x, (4, 0))[..., :30]),
    "brightness": (lambda x: TF.adjust_brightness(x, 1.5), lambda x: (1.5 * x).clamp(0, 1)),
    "contrast": (
        lambda x: TF.adjust_contrast(x, 0.4),
        lambda x: 0.4 * x + 0.6 * grey(x).mean((-3, -2, -1), keepdim=True),
    ),
    "saturation": (lambda x: TF.adjust_saturation(x, 0.2), lambda x: 0.2 * x + 0.8 * grey(x)),
    "gamma": (lambda x: TF.adjust_gamma(x, 0.7, 1.2), lambda x: (1.2 * x**0.7).clamp(0, 1)),
    "grey": (lambda x: TF.rgb_to_grayscale(x, 3), lambda x: grey(x).expand_as(x)),
    "invert": (TF.invert, lambda x: 1 - x),
    "normalize": (lambda x: TF.normalize(x, (0.5, 0.4, 0.3), (1, 2, 3)), lambda x: (x - M) / S),
    "erase": (lambda x: TF.erase(x, 2, 3, 4, 5, 0.5), lambda x: x.where(~WINDOW, torch.tensor(0.5, dtype=x.dtype))),
    "resize": (
        lambda x: TF.resize(x, [10, 12]),
        lambda x: torch.nn.functional.interpolate(x, (10, 12), mode="bilinear", antialias=True),
    ),
}
M, S = torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1), torch.tensor([1.0, 2, 3]).view(3, 1, 1)
WINDOW = torch.zeros(21, 30, dtype=torch.bool)
WINDOW[2:6, 3:8] = True


@pytest.mark.parametrize("name", TENSORS)
def test_tensors_are_torchs(name):
    x = np.stack([X, X[::-1]])
    ours, theirs = TENSORS[name]
    # float32 constants of normalising
    np.testing.assert_allclose(ours(mc.from_numpy(x)).numpy(), theirs(torch.tensor(x)).numpy(), atol=1e-7)
    assert (x == np.stack([X, X[::-1]])).all()


def test_hue():
    red = Image.new("RGB", (2, 2), (250, 0, 0))
    assert TF.adjust_hue(red, 1 / 3).getpixel((0, 0))[1] > 245  # green
    turned = TF.adjust_hue(mc.tensor([[[1.0]], [[0.0]], [[0.0]]]), -1 / 3)
    np.testing.assert_allclose(turned.numpy().reshape(3), [0, 0, 1], atol=1e-6)
    np.testing.assert_allclose(TF.adjust_hue(mc.from_numpy(X), 0.0).numpy(), X, atol=1e-12)


def test_blur():
    x = mc.from_numpy(X)
    kernel = [torch.exp(-0.5 * (torch.arange(-k, k + 1).double() / s) ** 2) for k, s in ((2, 0.8), (1, 1.5))]
    kernel = (kernel[1][:, None] * kernel[0]) / (kernel[0].sum() * kernel[1].sum())
    padded = torch.nn.functional.pad(torch.tensor(X)[None], (2, 2, 1, 1), mode="reflect")
    expected = torch.nn.functional.conv2d(padded, kernel.expand(3, 1, 3, 5), groups=3)[0]
    np.testing.assert_allclose(TF.gaussian_blur(x, (5, 3), (0.8, 1.5)).numpy(), expected.numpy(), atol=1e-12)
    same = TF.gaussian_blur(x, 5), TF.gaussian_blur(x, 5, 1.1)
    np.testing.assert_allclose(same[0].numpy(), same[1].numpy(), atol=1e-12)
    assert TF.gaussian_blur(IMAGE, 3).size == IMAGE.size
    smooth = np.asarray(IMAGE.filter(ImageFilter.GaussianBlur(1)), float)[4:-4, 4:-4]
    assert (
        np.abs(np.asarray(TF.gaussian_blur(IMAGE, 9, 1.0), float)[4:-4, 4:-4] - smooth).mean() < 3
    )  # Pillow's is by boxes


def test_perspective_and_elastic():
    corners = [(0, 0), (29, 0), (29, 20), (0, 20)]
    same = np.asarray(TF.perspective(IMAGE, corners, corners)).astype(int)
    assert np.abs(same - PIXELS).max() <= 1  # the last digit of a coefficient, and Pillow cuts fractions off
    moved = TF.perspective(mc.from_numpy(X), corners, [(x + 2, y + 1) for x, y in corners], "nearest").numpy()
    np.testing.assert_allclose(moved[:, 1:, 2:], X[:, :-1, :-2], atol=1e-12)
    displacement = mc.zeros(1, 21, 30, 2)
    displacement[..., 0] = 2 * 3 / 30  # three pixels, in halves of the width
    bent = TF.elastic_transform(mc.from_numpy(X), displacement, fill=0.25).numpy()
    np.testing.assert_allclose(bent[..., :-3], X[..., 3:], atol=1e-6)
    np.testing.assert_allclose(bent[..., -2:], 0.25, atol=1e-6)
    assert TF.elastic_transform(IMAGE, displacement).size == IMAGE.size


def test_windows_and_facts():
    assert [part.size for part in TF.five_crop(IMAGE, (4, 5))] == [(5, 4)] * 5
    assert len(TF.ten_crop(mc.from_numpy(X), 3)) == 10
    assert (TF.get_dimensions(IMAGE), TF.get_image_size(IMAGE), TF.get_image_num_channels(IMAGE)) == (
        [3, 21, 30],
        [30, 21],
        3,
    )
    back = TF.to_pil_image(TF.pil_to_tensor(IMAGE))
    np.testing.assert_array_equal(np.asarray(back), PIXELS)
    assert TF.to_tensor(IMAGE).dtype == mc.float32
    assert TF.convert_image_dtype(TF.to_tensor(IMAGE), mc.uint8).equal(TF.pil_to_tensor(IMAGE))
    x = mc.zeros(1, 2, 2)
    assert TF.erase(x, 0, 0, 1, 1, mc.ones(1, 1, 1), inplace=True) is x
    assert x.sum() == 1


@pytest.mark.parametrize(
    ("do", "error", "message"),
    [
        (lambda: TF.adjust_hue(IMAGE, 0.6), ValueError, "hue_factor: expected a number from -0.5 to 0.5"),
        (lambda: TF.adjust_contrast(IMAGE, -1), ValueError, "contrast_factor: expected a number of at least 0"),
        (lambda: TF.adjust_brightness(PIXELS, 1), TypeError, "adjust_brightness: expected a PIL image, got ndarray"),
        (lambda: TF.adjust_saturation(mc.zeros(4, 2, 2), 1), (TypeError, ValueError), "adjust_saturation"),
        (lambda: TF.gaussian_blur(IMAGE, 4), ValueError, "kernel_size: expected odd numbers"),
        (lambda: TF.gaussian_blur(IMAGE, 3, 0), ValueError, "sigma: expected a number above 0"),
        (lambda: TF.affine(IMAGE, 0, (0, 0), 0, 0), ValueError, "scale: expected a positive number"),
        (lambda: TF.erase(IMAGE, 0, 0, 1, 1, 0), TypeError, "img: expected a tensor"),
        (lambda: TF.to_grayscale(mc.zeros(3, 2, 2)), TypeError, "use rgb_to_grayscale for tensors"),
        (lambda: TF.elastic_transform(IMAGE, mc.zeros(1, 2, 2, 2)), ValueError, "displacement: expected a tensor"),
    ],
)
def test_errors(do, error, message):
    with pytest.raises(error, match=message):
        do()
