"""Pictures from elsewhere become digits as MNIST has them."""

import numpy as np
import pytest
from PIL import Image

from minicnn.training.digit_image import PictureError, digit_from_picture, prepare_picture, read_ink


@pytest.fixture(scope="module")
def digits():
    from minicnn.data import open_dataset

    pair = open_dataset("mnist10k")
    return pair.test.images[:100] / np.float32(255)


def correlation(a, b):
    return np.corrcoef(a.ravel(), b.ravel())[0, 1]


def test_mnists_own_digits_stay_where_they_are(digits):
    similar = [correlation(digit_from_picture(digit), digit) for digit in digits]
    assert np.mean(similar) > 0.97  # cropping by a threshold moves a few digits by a pixel
    assert min(similar) > 0.6


def test_a_large_dark_drawing_on_bright_paper_off_centre(digits):
    for digit in digits[:20]:
        drawing = Image.fromarray(np.uint8(255 - 255 * digit)).resize((280, 280), Image.Resampling.BICUBIC)
        page = Image.new("L", (700, 500), 255)
        page.paste(drawing, (350, 20))
        got = digit_from_picture(np.asarray(page, dtype=np.float32) / 255)
        assert correlation(got, digit) > 0.75


def test_field_box_and_centre_of_mass():
    picture = np.zeros((60, 200))
    picture[10:20, 20:120] = 1.0  # a horizontal bar, 100 wide
    digit = digit_from_picture(picture)
    assert digit.shape == (28, 28)
    assert digit.dtype == np.float32
    columns = np.nonzero(digit.max(axis=0) > 0.5)[0]
    rows = np.nonzero(digit.max(axis=1) > 0.5)[0]
    assert (len(columns), len(rows)) == (20, 2)  # the longer side is 20, the other in proportion
    mass = digit / digit.sum()
    assert abs((mass.sum(0) * np.arange(28)).sum() - 14) <= 0.5
    assert abs((mass.sum(1) * np.arange(28)).sum() - 14) <= 0.5


def test_a_thin_line_does_not_fade():
    picture = np.ones((400, 400))
    picture[50:350, 200:202] = 0
    assert digit_from_picture(picture).max() == 1.0


@pytest.mark.parametrize("value", [0.0, 0.4, 1.0])
def test_an_empty_page_is_an_error(value):
    with pytest.raises(ValueError, match="no digit in it"):
        digit_from_picture(np.full((30, 30), value))


def bar(dtype, high):
    array = np.full((40, 30), high, dtype=dtype)
    array[10:30, 12:16] = 0
    return array


MODES = {
    "grey.png": lambda: Image.fromarray(bar(np.uint8, 255)),
    "grey.jpg": lambda: Image.fromarray(bar(np.uint8, 255)),
    "rgb.png": lambda: Image.fromarray(bar(np.uint8, 255)).convert("RGB"),
    "rgb.jpeg": lambda: Image.fromarray(bar(np.uint8, 255)).convert("RGB"),
    "cmyk.jpg": lambda: Image.fromarray(bar(np.uint8, 255)).convert("CMYK"),
    "palette.png": lambda: Image.fromarray(bar(np.uint8, 255)).convert("P"),
    "bits.png": lambda: Image.fromarray(bar(np.uint8, 255)).convert("1"),
    "16bit.png": lambda: Image.fromarray(bar(np.uint16, 65535)),
    "32bit.tiff": lambda: Image.fromarray(bar(np.int32, 65535)),
    "float.tiff": lambda: Image.fromarray(bar(np.float32, 1.0)),
    "alpha.png": lambda: Image.merge(
        "RGBA", [Image.new("L", (30, 40), 0)] * 3 + [Image.fromarray(255 - bar(np.uint8, 255))]
    ),
    "white on nothing.png": lambda: Image.merge(
        "LA", [Image.new("L", (30, 40), 255), Image.fromarray(255 - bar(np.uint8, 255))]
    ),
    "palette with a transparent colour.gif": lambda: transparent_palette(),
}


def transparent_palette():
    image = Image.new("P", (30, 40), 1)
    image.putpalette([0, 0, 0, 90, 120, 50])
    image.paste(0, (12, 10, 16, 30))
    image.info["transparency"] = 1
    return image


@pytest.mark.parametrize("name", MODES)
def test_every_kind_of_file_shows_the_same_bar(name, tmp_path):
    path = tmp_path / name
    MODES[name]().save(path)
    grey = read_ink(path)
    assert grey.shape == (40, 30)
    assert grey.dtype == np.float32
    assert 0 <= grey.min() <= grey.max() <= 1
    digit = digit_from_picture(grey)
    rows, columns = np.nonzero(digit > 0.5)
    tolerance = 1 if "jp" in name else 0  # JPEG's ripples may tip a pixel of the edge
    np.testing.assert_allclose([rows.min(), rows.max(), columns.min(), columns.max()], [4, 23, 12, 15], atol=tolerance)


def test_exif_orientation_is_obeyed(tmp_path):
    image = Image.fromarray(bar(np.uint8, 255)).rotate(90, expand=True)
    exif = image.getexif()
    exif[0x0112] = 6  # "turn right by 90 degrees to see it upright"
    image.save(tmp_path / "a.jpg", exif=exif)
    assert read_ink(tmp_path / "a.jpg").shape == (40, 30)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no such file"),
        (b"text", "not a readable image"),
        (b"", "not a readable image"),
        ("cut", "not a readable image"),
    ],
)
def test_what_is_no_picture_is_named(tmp_path, content, message):
    path = tmp_path / "a.png"
    if content == "cut":
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (50, 50), np.uint8)).save(path)
        path.write_bytes(path.read_bytes()[:900])
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(PictureError, match=message) as caught:
        read_ink(path)
    assert str(path) in str(caught.value)


def test_a_folder_is_no_picture(tmp_path):
    with pytest.raises(PictureError, match="not a readable image"):
        read_ink(tmp_path)


def test_only_runs_on_digits_crop_to_the_ink(tmp_path):
    picture = np.full((56, 56), 255, np.uint8)
    picture[:8, :8] = 0
    Image.fromarray(picture).save(tmp_path / "a.png")
    digit = prepare_picture(tmp_path / "a.png", "mnist10k")
    assert digit[0, 0] == 0
    assert digit.max() == 1
    plain = prepare_picture(tmp_path / "a.png", "shirts")
    assert plain.shape == (28, 28)
    assert plain[0, 0] == pytest.approx(0, abs=0.01)
    assert plain[20, 20] == pytest.approx(1, abs=0.01)


def test_an_empty_picture_names_its_file(tmp_path):
    Image.new("L", (9, 9), 255).save(tmp_path / "blank.png")
    with pytest.raises(PictureError, match=r"blank\.png: it has no digit in it"):
        prepare_picture(tmp_path / "blank.png", "mnist")
