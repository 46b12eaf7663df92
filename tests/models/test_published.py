"""Published weights: what is known of them, how a builder takes them, and how they come over a (local) network."""

from __future__ import annotations

import hashlib
import inspect
import pickle
import threading
import time
import warnings
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pooch
import pytest
import torch
from PIL import Image

import minicnn as mc
from minicnn import models, nn
from minicnn.data import errors
from minicnn.weights import CheckpointError, registry
from tests.helpers.formula_weights import reference

DICTS = reference("torchvision_state_dicts")["models"]


@pytest.mark.parametrize("name", DICTS)
def test_facts_are_torchvisions(name):
    weights = models.get_model_weights(name)
    published = DICTS[name]["weights"]
    assert {m.name for m in weights} == {entry["name"] for entry in published}
    for entry in published:
        member = weights[entry["name"]]
        assert member.url == "https://download.pytorch.org/models/" + entry["file"]
        assert entry["file"].endswith(f"-{member.sha256}.pth")
        assert member.meta["num_params"] == entry["num_params"]
        assert member.metrics == member.meta["_metrics"] == entry["metrics"]
        assert member.size == entry["file_size_mb"]
        assert entry["default"] == (member is weights.DEFAULT)
        if entry["categories"] == 1000:
            assert len(member.meta["categories"]) == 1000
            assert member.categories == member.meta["categories"]
        transforms = member.transforms()
        preprocess = entry["preprocess"]
        assert list(transforms.crop_size) == (preprocess["crop_size"] * 2)[:2]
        assert transforms.mean == tuple(preprocess["mean"])
        assert transforms.interpolation.value == preprocess["interpolation"]
        assert models.get_weight(f"{weights.__name__}.{entry['name']}") is member


def test_preprocessing():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8))
    x = models.ResNet50_Weights.IMAGENET1K_V2.transforms()(image)
    assert x.shape == (3, 224, 224)
    # By hand: the shorter side to 232, the middle 224, 0..1, then mean and std.
    small = image.resize((int(232 * 400 / 300), 232), Image.Resampling.BILINEAR)
    left, top = round((small.size[0] - 224) / 2), round((232 - 224) / 2)
    pixels = np.asarray(small.crop((left, top, left + 224, top + 224)), np.float64) / 255
    expected = (pixels - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(x.numpy(), expected.transpose(2, 0, 1), atol=1e-6)
    # Tensors, as on torchvision's page of models: one, and a batch. Pillow rounds twice, which makes one grey level.
    pixels = mc.tensor(np.asarray(image).transpose(2, 0, 1).copy())
    preprocess = models.ResNet50_Weights.IMAGENET1K_V2.transforms()
    for given in (pixels, mc.stack([pixels, pixels]), pixels.float() / 255):
        found = preprocess(given)
        np.testing.assert_allclose(found.numpy(), np.broadcast_to(x.numpy(), found.shape), atol=1.01 / 255 / 0.224)
    clip = models.video.R3D_18_Weights.DEFAULT.transforms()([image] * 3)
    assert clip.shape == (3, 3, 112, 112)
    frames = models.video.R3D_18_Weights.DEFAULT.transforms()(mc.stack([pixels] * 2))
    assert frames.shape == (3, 2, 112, 112)
    np.testing.assert_allclose(frames.numpy(), clip.numpy()[:, :2], atol=1.01 / 255 / 0.216)
    with pytest.raises(ValueError, match=r"expected \(\.\.\., frames, 3, h, w\)"):
        models.video.R3D_18_Weights.DEFAULT.transforms()(pixels)


@pytest.fixture
def weights_file(tmp_path):
    """A small file that fits squeezenet1_1, from PyTorch, as a training checkpoint would have it."""
    state = {key: torch.full(shape, 0.01) for key, shape, _ in DICTS["squeezenet1_1"]["state_dict"]}
    torch.save(state, tmp_path / "weights.pth")
    return tmp_path / "weights.pth"


def test_a_path(weights_file):
    for weights in (weights_file, str(weights_file)):
        model = models.squeezenet1_1(weights=weights)
        assert all((p == 0.01).all() for p in model.parameters())
        assert all(p.requires_grad and p.is_leaf for p in model.parameters())


def test_no_random_number_is_drawn_for_weights_that_are_loaded(weights_file):
    mc.manual_seed(3)
    expected = mc.rand(4).tolist()
    mc.manual_seed(3)
    models.squeezenet1_1(weights=weights_file)
    assert mc.rand(4).tolist() == expected


def test_a_file_with_another_head_says_how_to_build_it(tmp_path):
    mc.save({"epoch": 2, "model": models.squeezenet1_1(num_classes=5).state_dict()}, tmp_path / "five.pth")
    with warnings.catch_warnings():  # that "model" was taken out of the checkpoint
        warnings.simplefilter("ignore")
        with pytest.raises(RuntimeError, match=r"size mismatch for classifier\.1\.weight") as caught:
            models.squeezenet1_1(weights=tmp_path / "five.pth")
        assert (
            "five.pth seems to be of a model with 5 classes: build it with num_classes=5" in caught.value.__notes__[-1]
        )
        assert "replace_head" in caught.value.__notes__[-1]
        assert models.squeezenet1_1(weights=tmp_path / "five.pth", num_classes=5).classifier[1].out_channels == 5


def test_arguments():
    with pytest.raises(ValueError, match=r"ResNet50_Weights has IMAGENET1K_V1, IMAGENET1K_V2, DEFAULT, not 'V3'"):
        models.resnet50(weights="V3")
    with pytest.raises(TypeError, match="expected a member of ResNet50_Weights"):
        models.resnet50(weights=models.ResNet18_Weights.DEFAULT)
    with pytest.raises(ValueError, match=r"have 1000 classes, got 5.*replace_head"):
        models.resnet50(weights="DEFAULT", num_classes=5)
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        models.resnet18(colour="red")
    with pytest.raises(ValueError, match="is not known; expected one of alexnet"):
        models.get_model("resnet19")
    with pytest.raises(ValueError, match="has no published weights"):
        models.get_model_weights("lenet5")
    with pytest.raises(ValueError, match="there are no weights"):
        models.get_weight("ResNet50_Weights")
    assert models.list_models(models.video) == ["mc3_18", "r2plus1d_18", "r3d_18"]
    assert models.list_models(include=["vgg1?", "alexnet"], exclude="vgg11") == ["alexnet", "vgg13", "vgg16", "vgg19"]


@pytest.fixture
def asked(monkeypatch, weights_file):
    """The published weights that were asked for, and whether with progress; nothing is downloaded."""
    found = []

    def get_state_dict(self, progress=True):
        found.append((self, progress))
        return mc.load(weights_file)

    monkeypatch.setattr(models.WeightsEnum, "get_state_dict", get_state_dict)
    return found


@pytest.mark.parametrize(
    ("arguments", "options", "progress"),
    [((True,), {}, True), ((True, False), {}, False), ((), {"pretrained": True}, True), ((), {"weights": True}, True)],
)
def test_pretrained_is_deprecated(asked, arguments, options, progress):
    with pytest.warns(DeprecationWarning, match="deprecated") as noted:
        models.squeezenet1_1(*arguments, **options)
    assert "is deprecated and means weights='IMAGENET1K_V1'" in str(noted[-1].message)
    assert {warning.filename for warning in noted} == {__file__}
    assert asked == [(models.SqueezeNet1_1_Weights.IMAGENET1K_V1, progress)]


@pytest.mark.parametrize(("arguments", "options"), [((False,), {}), ((None,), {}), ((), {"pretrained": False})])
def test_not_pretrained_is_deprecated(asked, arguments, options):
    with pytest.warns(DeprecationWarning, match="deprecated"):
        models.squeezenet1_1(*arguments, **options)
    assert not asked


def test_the_first_weights_may_not_be_the_best(monkeypatch):
    monkeypatch.setenv("MINICNN_OFFLINE", "1")
    monkeypatch.setenv("MINICNN_HOME", "nowhere")
    with (
        pytest.warns(DeprecationWarning, match="means weights='IMAGENET1K_V1', and weights='DEFAULT' is the best"),
        pytest.raises(errors.DownloadError, match="resnet50-0676ba61"),
    ):
        models.resnet50(pretrained=True)


def test_old_and_new_names_together_are_refused():
    with pytest.raises(TypeError, match="pretrained is an old name of weights"):
        models.resnet18(pretrained=True, weights="DEFAULT")
    with pytest.raises(TypeError, match="two values for weights"):
        models.resnet18(None, weights=None)
    with pytest.raises(TypeError, match="takes weights and progress by position, got 3"):
        models.resnet18(None, True, 10)


def test_names_are_of_any_size_and_weights_can_be_pickled():
    assert models.get_model_builder("VGG11_BN") is models.vgg11_bn
    assert inspect.signature(models.vgg11_bn).parameters["weights"].kind is inspect.Parameter.KEYWORD_ONLY
    weights = models.ResNet50_Weights.DEFAULT
    assert pickle.loads(pickle.dumps(weights)) is weights
    assert type(weights).__module__ == "minicnn.models.resnet"
    with pytest.raises(FileNotFoundError):
        models.resnet18(weights="no/such/folder")


def test_googlenet_with_weights(tmp_path, monkeypatch):
    model = models.googlenet()
    mc.save(model.state_dict(), tmp_path / "googlenet.pth")
    loaded = models.googlenet(weights=tmp_path / "googlenet.pth")
    assert loaded.transform_input
    assert loaded.aux1 is None
    with pytest.warns(UserWarning, match="not trained"):
        assert models.googlenet(weights=tmp_path / "googlenet.pth", aux_logits=True).aux1 is not None
    x = mc.rand(1, 3, 64, 64)
    model.eval()
    normal = (x - mc.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / mc.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    np.testing.assert_allclose(
        loaded.eval()(normal).detach().numpy(), model((x - 0.5) / 0.5).detach().numpy(), rtol=1e-4, atol=1e-4
    )
    out = model.train()(mc.randn(2, 3, 64, 64))
    assert [type(x) for x in out] == [mc.Tensor] * 3


def test_old_names_of_vit(tmp_path):
    model = models.VisionTransformer(32, 16, 1, 2, 8, 16, num_classes=3)
    state = {
        k.replace("mlp.0.", "mlp.linear_1.").replace("mlp.3.", "mlp.linear_2."): v
        for k, v in model.state_dict().items()
    }
    assert list(state) != list(model.state_dict())
    other = models.VisionTransformer(32, 16, 1, 2, 8, 16, num_classes=3)
    other.load_state_dict(state)
    assert all((a == b).all() for a, b in zip(model.parameters(), other.parameters(), strict=True))
    with pytest.raises(ValueError, match="images of 32 x 32, got 48 x 48"):
        model(mc.zeros(1, 3, 48, 48))


def test_building_with_another_head_and_layers():
    assert models.resnet18(num_classes=5).fc.out_features == 5
    assert isinstance(models.resnet50(norm_layer=nn.Identity).bn1, nn.Identity)
    dilated = models.resnet50(replace_stride_with_dilation=[False, True, True], num_classes=2)
    features = nn.Sequential(*list(dilated.children())[:-2])
    assert features(mc.zeros(1, 3, 64, 64)).shape == (1, 2048, 8, 8)


# ---- over a network


class Server(BaseHTTPRequestHandler):
    """Serves one file in several tempers, by the first part of its path."""

    data = b""
    requests: list[str] = []  # noqa: RUF012  shared on purpose

    def do_GET(self) -> None:
        temper = self.path.split("/")[1]
        self.requests.append(self.path)
        if temper == "missing":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.data)))
        self.end_headers()
        if temper == "right":
            self.wfile.write(self.data)
        elif temper == "corrupt":
            self.wfile.write(self.data[:-1] + b"?")
        elif temper == "truncated":
            self.wfile.write(self.data[: len(self.data) // 2])
        elif temper == "slow":
            for i in range(100):
                self.wfile.write(self.data[i : i + 1])
                time.sleep(0.1)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(tmp_path, monkeypatch) -> Iterator[str]:
    monkeypatch.setenv("MINICNN_HOME", str(tmp_path / "home"))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    Server.data, Server.requests = b"weights" * 5000, []
    served = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=served.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{served.server_port}"
    served.shutdown()
    served.server_close()
    thread.join()


PREFIX = hashlib.sha256(b"weights" * 5000).hexdigest()[:8]


@pytest.mark.parametrize("progress", [True, False])
def test_what_is_said_of_a_download(server, caplog, monkeypatch, progress):
    monkeypatch.setattr(pooch.get_logger(), "handlers", [caplog.handler])
    registry.published_file(f"{server}/right/a.pth", PREFIX, progress=progress)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == progress, "where it comes from, and no advice for those who call Pooch"
    assert all(f"{server}/right/a.pth" in line for line in said)


def test_download_once(server, tmp_path):
    path = registry.published_file(f"{server}/right/w-{PREFIX}.pth", PREFIX)
    assert path == tmp_path / "home" / "weights" / f"w-{PREFIX}.pth"
    assert path.read_bytes() == Server.data
    assert registry.published_file(f"{server}/right/w-{PREFIX}.pth", PREFIX) == path
    assert len(Server.requests) == 1


@pytest.mark.parametrize(
    ("temper", "message"),
    [("corrupt", "SHA-256 begins with"), ("truncated", "broke off after 17500 of 35000"), ("missing", "HTTP 404")],
)
def test_bad_transfers_leave_nothing(server, tmp_path, temper, message):
    with pytest.raises(errors.DownloadError, match=message) as caught:
        registry.published_file(f"{server}/{temper}/w.pth", PREFIX)
    assert "MINICNN_WEIGHTS_MIRROR" in str(caught.value)
    assert not list((tmp_path / "home" / "weights").glob("*"))


def test_slow_server_is_given_up(server, tmp_path, monkeypatch):
    from minicnn.data import downloads

    real = downloads.download
    monkeypatch.setattr(registry, "download", lambda *a, **k: real(*a, stall_seconds=0.5, **k))
    with pytest.raises(errors.DownloadError, match="too slow"):
        registry.published_file(f"{server}/slow/w.pth", PREFIX)


def test_mirror_is_asked_first(server, monkeypatch):
    monkeypatch.setenv("MINICNN_WEIGHTS_MIRROR", f"{server}/right/")
    registry.published_file(f"{server}/missing/w.pth", PREFIX)
    assert Server.requests == ["/right/w.pth"]


def test_bad_mirror_falls_to_the_publisher(server, monkeypatch):
    monkeypatch.setenv("MINICNN_WEIGHTS_MIRROR", f"{server}/corrupt")
    registry.published_file(f"{server}/right/w.pth", PREFIX)
    assert Server.requests == ["/corrupt/w.pth", "/right/w.pth"]


def test_a_folder_of_ones_own(server, tmp_path, monkeypatch):
    monkeypatch.setenv("MINICNN_WEIGHTS_MIRROR", f"{server}/right")
    with pytest.raises(errors.DownloadError, match="SHA-256 begins with"):
        models.SqueezeNet1_1_Weights.DEFAULT.get_state_dict(tmp_path, "cpu", progress=False)
    assert registry.published_file(f"{server}/right/w.pth", PREFIX, folder=tmp_path / "mine").parent.name == "mine"


def test_offline(server, monkeypatch):
    monkeypatch.setenv("MINICNN_OFFLINE", "1")
    with pytest.raises(errors.DownloadError, match="MINICNN_OFFLINE forbids"):
        registry.published_file(f"{server}/right/w.pth", PREFIX)
    assert not Server.requests


def test_package_that_is_not_there():
    with pytest.raises(ImportError, match="python -m pip install no-such-package"):
        registry.from_package("no_such_package", "x.pth", "00")
    with pytest.raises(CheckpointError, match="is missing or is not the published one"):
        registry.from_package("torch", "version.py", "00")
