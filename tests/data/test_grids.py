"""Many images as one, and pictures from files: checked by hand."""

import numpy as np
import pytest
from PIL import Image

import minicnn as mc
from minicnn.data import ImageReadError, decode_image, make_grid, read_image, save_image


def test_places_and_frames():
    images = mc.arange(5).view(5, 1, 1, 1).float() + 1
    grid = make_grid(images, nrow=3, padding=1, pad_value=9)
    expected = [[9] * 7, [9, 1, 9, 2, 9, 3, 9], [9] * 7, [9, 4, 9, 5, 9, 9, 9], [9] * 7]
    assert grid.tolist() == [expected] * 3
    assert make_grid(list(images), 3, 1, pad_value=9).tolist() == grid.tolist()
    for single in (mc.ones(4, 5), mc.ones(1, 4, 5), mc.ones(1, 3, 4, 5)):
        assert make_grid(single).shape == (3, 4, 5)


def test_scaling():
    images = mc.tensor([[0.0, 2.0], [4.0, 8.0]]).view(2, 1, 1, 2)
    assert make_grid(images, padding=0, normalize=True)[0].tolist() == [[0, 0.25, 0.5, 1]]
    assert make_grid(images, padding=0, normalize=True, scale_each=True)[0].tolist() == [[0, 1, 0, 1]]
    assert make_grid(images, padding=0, normalize=True, value_range=(2, 6))[0].tolist() == [[0, 0, 0.5, 1]]
    assert images.flatten().tolist() == [0, 2, 4, 8], "what came in stays"
    with pytest.raises(TypeError, match="value_range"):
        make_grid(images, normalize=True, value_range=[0, 1])
    with pytest.raises(TypeError, match="expected a tensor or a list of tensors, got ndarray"):
        make_grid(np.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"got shape \(1, 1, 1, 1, 1\)"):
        make_grid(mc.zeros(1, 1, 1, 1, 1))


def test_to_a_file_and_back(tmp_path):
    image = mc.tensor([[0.0, 1.0, 2.0], [0.5, 0.1, -1.0]]).expand(3, 2, 3)
    save_image(image, tmp_path / "x.png")
    expected = [[0, 255, 255], [128, 26, 0]]
    assert decode_image(tmp_path / "x.png").tolist() == [expected] * 3
    assert read_image(str(tmp_path / "x.png"), mode="GRAY").tolist() == [expected]
    assert decode_image(tmp_path / "x.png", "RGB_ALPHA").shape == (4, 2, 3)
    for mode, channels in (("1", 1), ("L", 1), ("LA", 2), ("P", 3), ("RGBA", 4)):
        Image.new(mode, (5, 4)).save(tmp_path / "y.png")
        assert decode_image(tmp_path / "y.png").shape == (channels, 4, 5)
    with pytest.raises(ValueError, match="mode: expected one of UNCHANGED"):
        decode_image(tmp_path / "x.png", mode="CMYK")
    with pytest.raises(ImageReadError, match="there is no such file"):
        decode_image(tmp_path / "z.png")
