"""`minicnn profile`: ready-made models and the user's own, and its errors."""

import json
import textwrap

import pytest

from minicnn import profiler
from minicnn.profiler import Peak, measure

QUICK = ("--batch-size", "3", "--repeats", "1", "--threads", "1")

OWN = """
import minicnn as mc
from minicnn import nn
from beside import WIDTH

class Net(nn.Module):
    def __init__(self, classes=4):
        super().__init__()
        self.conv = nn.Conv2d(3, WIDTH, 3)
        self.head = nn.Linear(WIDTH * 36, classes)

    def forward(self, x):
        return self.head(mc.tanh(self.conv(x)).flatten(1))

class Gate(nn.Module):
    def forward(self, x):
        return x * 2 if x.sum() > 0 else x

def small():
    return Net(2)

def needs(size):
    return Net(size)

def fails():
    raise OSError("no such luck")

class models:
    trained = Net().eval()

number = 3
"""


@pytest.fixture
def run(run_here, monkeypatch, tmp_path):
    """run_here, without measuring the peak, and with a user's file in the folder."""
    monkeypatch.setattr(measure, "measure_peak", lambda dtype: Peak(1e11, 1e10, 1e-5, 1e-5))
    (tmp_path / "own_net.py").write_text(textwrap.dedent(OWN))
    (tmp_path / "beside.py").write_text("WIDTH = 5\n")
    (tmp_path / "broken_net.py").write_text("import minicnn\nx = 1 / 0\n")
    (tmp_path / "missing_net.py").write_text("import not_installed_anywhere\n")
    yield run_here
    import sys

    for name in ("own_net", "beside", "broken_net", "missing_net"):
        sys.modules.pop(name, None)


def test_a_table(run):
    code, out, err = run("profile", "cnn", *QUICK)
    assert (code, err) == (0, "")
    assert out.startswith("MnistCNN: train, 3x1x28x28 float32, 1 thread\n")
    assert [line.split()[:2] for line in out.splitlines()[5:7]] == [
        ["features.0", "Conv2d"],
        ["features.1", "BatchNorm2d"],
    ]
    assert "backward ms" in out


@pytest.mark.parametrize("model", ["mlp", "lenet5", "mnist_cnn"])
def test_json(run, model):
    code, out, _ = run("profile", model, *QUICK, "--json", "--eval", "--compile")
    assert code == 0
    found = json.loads(out)
    assert (found["mode"], found["compiled"], found["threads"]) == ("eval", True, 1)
    assert found["rows"][-1]["kind"].startswith("Linear")  # LinearEpilogue in a plan on fixed memory


@pytest.mark.parametrize("place", ["own_net:Net", "own_net.py:Net", "own_net:small", "own_net:models.trained"])
def test_a_model_of_ones_own(run, place):
    code, out, err = run("profile", place, *QUICK, "--input-shape", "3,8,8")
    assert (code, err) == (0, "")
    assert out.startswith("Net: train, 3x3x8x8")
    assert [line.split()[0] for line in out.splitlines()[5:9]] == ["conv", "Tanh", "Reshape", "head"]


def test_a_file_elsewhere(run, tmp_path):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for name in ("own_net.py", "beside.py"):
        (tmp_path / name).rename(tmp_path / "deep" / "er" / name)
    code, out, _ = run("profile", "deep/er/own_net.py:Net", *QUICK, "--input-shape", "3x8x8", "--compile")
    assert code == 0
    assert out.startswith("Net: train, compiled")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resnet"], "MODEL resnet: there is cnn, alexnet, convnext_tiny, densenet121"),
        (["own_net:"], "expected module:attribute or path/to/file.py:attribute"),
        (["own_net:Ned"], "own_net has no 'Ned'; there is Net, Gate"),
        (["own_net:number"], "it is a int; expected a Module, or what makes one"),
        (["own_net:needs"], "calling it without arguments failed: TypeError: needs() missing 1 required positional"),
        (["own_net:fails"], "calling it without arguments failed: OSError: no such luck ("),
        (["own_net:mc.manual_seed"], "calling it without arguments failed: TypeError"),
        (["own_net:mc.get_num_threads"], "calling it gave a int; expected a Module"),
        (["nowhere_net:Net"], "there is no module 'nowhere_net', here or installed"),
        (["nowhere_net.py:Net"], "there is no file nowhere_net.py"),
        (["broken_net:Net"], "importing broken_net failed: ZeroDivisionError: division by zero ("),
        (["broken_net.py:Net"], "broken_net.py, line 2)"),
        (["missing_net:Net"], "importing missing_net failed: ModuleNotFoundError: No module named 'not_installed_any"),
        (["own_net:Net"], "the model does not take inputs of shape (3, 1, 28, 28): ValueError: x has 1 channels, but"),
        (
            ["own_net:Net"],
            "own_net.py, line 13). --input-shape gives the shape of one input, --batch-size their number",
        ),
        (["cnn", "--input-shape", "28"], "the model does not take inputs of shape (3, 28)"),
        (["own_net:Gate", "--compile"], "Gate runs eagerly, its trace broke"),
        (["own_net:Gate", "--compile"], "Profile the model itself, without --compile"),
    ],
)
def test_errors(run, arguments, message):
    code, out, err = run("profile", *arguments, *QUICK)
    assert (code, out) == (1, "")
    assert err.startswith("error: ")
    assert message in err
    assert "Traceback" not in err


@pytest.mark.parametrize("shape", ["a,b", "1,0,3", "", "1,28,28,"])
def test_shapes_that_are_none(run, shape):
    code, _, err = run("profile", "cnn", "--input-shape", shape)
    assert code == 2
    assert f"--input-shape {shape}: expected positive numbers such as 1,28,28" in err


def test_the_library_is_what_is_called(run, monkeypatch):
    seen = []
    monkeypatch.setattr(profiler, "profile", lambda model, x, repeats: seen.append((model.training, x.shape, repeats)))
    run("profile", "mlp", "--eval", "--batch-size", "2", "--repeats", "7")
    assert seen == [(False, (2, 1, 28, 28), 7)]
