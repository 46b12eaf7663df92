"""ImageFolder and reading single images."""

import io

import numpy as np
import pytest
from PIL import Image

import minicnn as mc
from minicnn.data import DataLoader, DatasetNotFoundError, ImageFolder, ImageReadError, pil_loader, read_grey
from minicnn.data.transforms import ToTensor


@pytest.fixture
def pets(tmp_path, write_images):
    files = {"dog/b.png": 20, "dog/a.PNG": 10, "cat/deep/er/x.png": 30, "cat/1.png": 40, "emu/z.bmp": 50}
    write_images(tmp_path / "pets", files)
    for name in (".hidden/1.png", "dog/.thumb.png", "dog/.cache/1.png"):
        write_images(tmp_path / "pets", {name: 99})
    (tmp_path / "pets" / "dog" / "notes.txt").write_text("good")
    (tmp_path / "pets" / "README").write_text("pets")
    return tmp_path / "pets"


def test_classes_samples_and_items(pets):
    data = ImageFolder(pets)
    assert data.classes == ["cat", "dog", "emu"]
    assert data.class_to_idx == {"cat": 0, "dog": 1, "emu": 2}
    names = [str(path).removeprefix(str(pets)) for path, _ in data.samples]
    assert names == ["/cat/1.png", "/cat/deep/er/x.png", "/dog/a.PNG", "/dog/b.png", "/emu/z.bmp"]
    assert data.targets == [0, 0, 1, 1, 2]
    assert data.imgs is data.samples
    image, label = data[3]
    assert (image.mode, image.getpixel((0, 0)), label) == ("RGB", (20, 20, 20), 1)
    assert "5 images in 3 classes" in repr(data)


def test_a_subclass_numbers_its_classes(pets):
    """As torchvision's: some of the folders, and two under one label."""

    class Beasts(ImageFolder):
        def find_classes(self, directory):
            classes, _ = super().find_classes(directory)
            assert classes == ["cat", "dog", "emu"]
            return ["beast", "bird"], {"emu": 1, "cat": 0, "dog": 0}

    data = Beasts(pets)
    assert (data.classes, data.targets) == (["beast", "bird"], [0, 0, 0, 0, 1])


def test_transforms_loader_and_filter(pets):
    data = ImageFolder(str(pets), ToTensor(), str)
    assert data[0][0].shape == (3, 4, 4)
    assert data[4][1] == "2"
    data = ImageFolder(
        pets,
        loader=lambda path: path[-5],
        is_valid_file=lambda path: "a" in path.rsplit("/", 1)[1].lower()[:1],
        allow_empty=True,
    )
    assert data.samples == [(str(pets / "dog" / "a.PNG"), 1)]
    assert data[0] == ("a", 1)


def test_batches_from_files_by_workers(pets):
    loader = DataLoader(ImageFolder(pets, ToTensor()), 5, num_workers=2)
    ((images, labels),) = loader
    assert images.shape == (5, 3, 4, 4)
    assert np.rint(images.numpy()[:, 0, 0, 0] * 255).tolist() == [40, 30, 10, 20, 50]
    assert labels.tolist() == [0, 0, 1, 1, 2]


@pytest.mark.parametrize("prepare", ["nothing", "file", "empty"])
def test_folders_that_are_none(tmp_path, prepare):
    root = tmp_path / "root"
    if prepare == "file":
        root.write_text("")
    elif prepare == "empty":
        (root / ".git").mkdir(parents=True)
    with pytest.raises(DatasetNotFoundError, match=rf"{root}: .*one folder a class.*root/cat/1.png") as caught:
        ImageFolder(root)
    assert isinstance(caught.value, FileNotFoundError)


def test_a_class_without_images(pets):
    (pets / "yak").mkdir()
    with pytest.raises(FileNotFoundError, match=r"found no valid file for the classes yak; .*extensions are: \.jpg"):
        ImageFolder(pets)
    assert ImageFolder(pets, allow_empty=True).classes == ["cat", "dog", "emu", "yak"]


@pytest.fixture
def damaged(pets):
    """Text, half a JPEG, and nothing at all, under image names."""
    (pets / "cat" / "text.png").write_text("no image")
    jpeg = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(jpeg, "jpeg")
    (pets / "dog" / "half.jpg").write_bytes(jpeg.getvalue()[: len(jpeg.getvalue()) // 2])
    (pets / "emu" / "empty.png").write_bytes(b"")
    return pets


def test_unreadable_images_are_named(damaged):
    data = ImageFolder(damaged)
    assert len(data) == 8
    bad = [i for i, (path, _) in enumerate(data.samples) if "text" in path or "half" in path or "empty" in path]
    for i in bad:
        with pytest.raises(ImageReadError) as caught:
            data[i]
        assert data.samples[i][0] in str(caught.value)
        assert "on_error='skip'" in caught.value.__notes__[0]
    with pytest.raises(ImageReadError, match="not a readable image") as caught:
        list(DataLoader(data, 1, num_workers=1, collate_fn=list))
    assert any("fetching sample" in note for note in caught.value.__notes__)


def test_unreadable_images_are_skipped_and_counted(damaged):
    with pytest.warns(
        UserWarning, match=f"{damaged}: 3 of 8 images are unreadable and left out; the first: .*text.png"
    ):
        data = ImageFolder(damaged, on_error="skip")
    assert len(data) == len(data.targets) == 5
    assert [path.rsplit("/", 1)[1] for path, _ in data.skipped] == ["text.png", "half.jpg", "empty.png"]
    assert all(path in reason for path, reason in data.skipped)
    for image, _ in data:
        assert image.size == (4, 4)


def test_skipping_does_not_hide_a_loaders_own_bugs(pets):
    def buggy(path):
        raise AttributeError("a typo")

    with pytest.raises(AttributeError, match="a typo"):
        ImageFolder(pets, loader=buggy, on_error="skip")
    with pytest.raises(ValueError, match="on_error: expected 'raise' or 'skip', got 'ignore'"):
        ImageFolder(pets, on_error="ignore")


@pytest.mark.filterwarnings("ignore:.*unreadable")
def test_nothing_readable(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.png").write_text("")
    with pytest.raises(DatasetNotFoundError, match="none of its 1 images can be read"):
        ImageFolder(tmp_path, on_error="skip")


# ---- single images


def save(tmp_path, image, name="x.png", **options):
    image.save(tmp_path / name, **options)
    return tmp_path / name


def test_read_grey_modes(tmp_path):
    values = np.array([[0, 100], [200, 255]], np.uint8)
    grey = Image.fromarray(values)
    np.testing.assert_array_equal(read_grey(save(tmp_path, grey)), values)
    np.testing.assert_array_equal(read_grey(save(tmp_path, grey.convert("RGB"))), values)
    np.testing.assert_array_equal(read_grey(save(tmp_path, grey.convert("P"))), values)
    sixteen = Image.fromarray(values.astype(np.uint16) * 257)
    np.testing.assert_array_equal(read_grey(save(tmp_path, sixteen)), values)
    np.testing.assert_array_equal(
        read_grey(save(tmp_path, Image.fromarray(values > 150))), np.array([[0, 0], [255, 255]])
    )
    assert pil_loader(save(tmp_path, grey)).mode == "RGB"


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_ink_lies_on_white(tmp_path, mode):
    image = Image.new(mode, (2, 1), 0)  # black, wholly transparent
    image.putpixel((1, 0), (0, 0, 0, 255) if mode == "RGBA" else (0, 255))
    assert read_grey(save(tmp_path, image)).tolist() == [[255, 0]]


def test_palettes_may_be_transparent_too(tmp_path):
    image = Image.new("P", (2, 1), 0)
    image.putpalette([0, 0, 0, 90, 90, 90])
    image.putpixel((1, 0), 1)
    assert read_grey(save(tmp_path, image, transparency=0)).tolist() == [[255, 90]]


def test_photos_are_turned_upright(tmp_path):
    image = Image.fromarray(np.array([[0, 255]], np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned a quarter
    assert read_grey(save(tmp_path, image, exif=exif)).tolist() == [[0], [255]]


def test_resizing_averages(tmp_path):
    stripes = np.zeros((40, 40), np.uint8)
    stripes[::2] = 200
    small = read_grey(save(tmp_path, Image.fromarray(stripes)), (10, 5))
    assert small.shape == (10, 5)
    assert abs(small.astype(int) - 100).max() <= 8
    same = read_grey(save(tmp_path, Image.fromarray(stripes)), (40, 40))
    np.testing.assert_array_equal(same, stripes)


def test_a_missing_image_is_named(tmp_path):
    with pytest.raises(ImageReadError, match=r"none\.png: there is no such file"):
        read_grey(tmp_path / "none.png")
    assert isinstance(mc.data.DatasetError(), ValueError)


def test_links_in_a_circle_end(pets):
    before = ImageFolder(pets).samples
    (pets / "cat" / "deep" / "circle").symlink_to(pets / "cat", target_is_directory=True)
    (pets / "dog" / "itself").symlink_to(pets / "dog", target_is_directory=True)
    assert ImageFolder(pets).samples == before


def test_linked_folders_are_searched(pets, tmp_path, write_images):
    write_images(tmp_path / "elsewhere", {"z.png": 60})
    (pets / "emu" / "more").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert (str(pets / "emu" / "more" / "z.png"), 2) in ImageFolder(pets).samples


def test_formats_that_pillow_hands_to_other_programs_are_not_opened(tmp_path):
    Image.new("L", (3, 3), 9).save(tmp_path / "a.eps")
    (tmp_path / "a.eps").rename(tmp_path / "a.png")  # Pillow looks at the content: it would start Ghostscript
    with pytest.raises(ImageReadError, match=r"a\.png: not a readable image"):
        read_grey(tmp_path / "a.png")
