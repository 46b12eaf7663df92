"""`evaluate`, `predict`, `info`, `--help`, `--version`, and what starting costs."""

import json
import os
import re
import sys

import numpy as np
import pytest
from PIL import Image

import minicnn as mc
from minicnn.data import open_dataset
from minicnn.training import RunFolder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A network that knows its digits well enough to be asked."""
    from minicnn.training import TrainConfig, train

    path = tmp_path_factory.mktemp("trained") / "run"
    threads, state = mc.get_num_threads(), mc.random.default_generator.get_state()
    train(TrainConfig(model="mlp", epochs=2), path)
    mc.set_num_threads(threads)
    mc.random.default_generator.set_state(state)
    return RunFolder(path)


def test_evaluate_finds_what_training_found(run_here, run):
    last = json.loads(run.metrics.read_text().splitlines()[-1])
    code, out, err = run_here("evaluate", run.path)
    assert (code, err) == (0, "")
    assert f"accuracy {100 * last['test_accuracy']:.2f} % (" in out
    assert f"loss {last['test_loss']:.4f}" in out
    assert run_here("evaluate", run.path, "--limit", "50", "--batch-size", "7")[1].count("50)") == 1


def test_evaluate_on_other_data_uses_the_runs_normalisation(run_here, run, tmp_path):
    """The test digits with all pixels halved, as a folder: the run's mean and deviation, not those of the dark digits."""
    pair = open_dataset("mnist10k")
    for i in range(300):
        for part in ("train", "test"):
            folder = tmp_path / "dark" / part / str(pair.test.labels[i])
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pair.test.images[i] // 2).save(folder / f"{i}.png")
    code, out, _ = run_here("evaluate", run.path, "--data", "dark")
    assert code == 0
    from minicnn.models import mlp
    from minicnn.weights import load_state_dict_file

    model = mlp()
    model.load_state_dict(load_state_dict_file(run.weights))
    x = (pair.test.images[:300] // 2 / np.float32(255) - np.float32(pair.mean)) / np.float32(pair.std)
    with mc.no_grad():
        guesses = model.eval()(mc.tensor(x[:, None])).numpy().argmax(1)
    assert f"({int((guesses == pair.test.labels[:300]).sum())} of 300)" in out


def saved_digits(folder, count):
    """The first test digits as a person would bring them: large, dark on bright, as PNG and JPEG by turns."""
    pair = open_dataset("mnist10k")
    paths = []
    for i in range(count):
        drawing = Image.fromarray(255 - pair.test.images[i]).resize((200, 200), Image.Resampling.BICUBIC)
        page = Image.new("L", (400, 300), 255)
        page.paste(drawing, (150, 60))
        paths.append(folder / f"{i}.{'png' if i % 2 else 'jpg'}")
        page.save(paths[-1])
    return paths, pair.test.labels[:count]


def test_predict_recognises_drawings(run_here, run, tmp_path):
    paths, labels = saved_digits(tmp_path, 40)
    code, out, err = run_here("predict", run.path, *paths)
    assert (code, err) == (0, "")
    blocks = re.split(r"^.*\.(?:png|jpg)$", out, flags=re.MULTILINE)[1:]
    assert len(blocks) == 40
    right = 0
    for block, label in zip(blocks, labels, strict=True):
        guesses = re.findall(r"^  (\d) +(\d+\.\d\d) %$", block, flags=re.MULTILINE)
        assert len(guesses) == 3
        shares = [float(share) for _, share in guesses]
        assert shares == sorted(shares, reverse=True)
        assert 0 < sum(shares) <= 100.01
        right += guesses[0][0] == str(label)
    assert right >= 34  # the network itself gets about 95 % of the untouched digits


def test_predict_draws_plain_characters_where_there_is_no_terminal(run_here, run, tmp_path):
    paths, _ = saved_digits(tmp_path, 1)
    _, out, _ = run_here("predict", run.path, *paths)
    assert re.fullmatch(r"[\n\x20-\x7e]*", out)
    picture = [line for line in out.splitlines() if line.startswith("    ")]
    assert len(picture) >= 8
    assert any("@" in line for line in picture)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize("no_color", [False, True])
def test_in_a_terminal_the_picture_has_half_blocks(run, tmp_path, no_color):
    paths, _ = saved_digits(tmp_path, 1)
    out = in_terminal(["predict", str(run.path), str(paths[0])], {"NO_COLOR": "1"} if no_color else {})
    assert ("▀" in out and "\x1b[" in out) != no_color


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_in_a_terminal_training_shows_a_bar_and_leaves_the_table(tmp_path):
    options = ["--model", "mlp", "--epochs", "2", "--limit-train", "640", "--limit-test", "50"]
    out = in_terminal(["train", *options, "--out", str(tmp_path / "run")])
    assert "images/s" in out
    assert " left" in out
    assert out.count("\x1b[?25h") >= out.count("\x1b[?25l") > 0  # the cursor is back
    for line in ("     1/2  ", "     2/2  ", "confusion matrix", "test accuracy"):
        assert line in out


def in_terminal(arguments, environment=None):
    """What the command writes to a terminal of 100 columns."""
    import fcntl
    import pty
    import struct
    import subprocess
    import termios

    from tests.cli.conftest import ROOT

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    variables = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'kernels'}", "TERM": "xterm-256color"}
    variables |= {"PYTHONIOENCODING": "utf-8", "COLORTERM": "truecolor"}
    variables.pop("NO_COLOR", None)
    process = subprocess.Popen(
        [sys.executable, "-m", "minicnn", *arguments], stdout=theirs, stderr=theirs, env=variables | (environment or {})
    )
    os.close(theirs)
    received = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # Linux's way of saying that the other side is gone
            break
        if not part:
            break
        received += part
    os.close(ours)
    assert process.wait(timeout=120) == 0, received.decode()
    return received.decode()


def test_info_names_everything_a_bug_report_needs(run_here):
    code, out, err = run_here("info")
    assert (code, err) == (0, "")
    for name in (
        "minicnn",
        "python",
        "numpy",
        "numba",
        "threads",
        "back ends",
        "vector units",
        "kernel cache",
        "plots",
    ):
        assert re.search(rf"^{name}|{name}: ", out, flags=re.MULTILINE), name
    assert np.__version__ in out


def test_version(run_here):
    code, out, _ = run_here("--version")
    assert (code, out) == (0, f"minicnn {mc.__version__}\n")


def test_help_is_quick_and_imports_nothing_heavy(run_apart):
    code = """
import sys
from minicnn import cli
try:
    cli.main()
finally:
    heavy = {"numba", "llvmlite", "torch", "matplotlib", "PIL", "pooch", "safetensors"} & set(sys.modules)
    print("heavy:", sorted(heavy))
"""
    for arguments in (("--help",), ("train", "--help")):
        exit_code, out, err = run_apart(*arguments, code=code)
        assert (exit_code, err) == (0, "")
        assert "heavy: []" in out
        assert "train" in out


def test_python_m_minicnn_and_no_arguments(run_apart):
    code, out, err = run_apart("--version")
    assert (code, out, err) == (0, f"minicnn {mc.__version__}\n", "")
    code, out, err = run_apart()
    assert code == 2
    assert "predict" in out + err
    assert "Traceback" not in err


def test_output_cut_short_is_no_error(start):
    process = start("info")
    process.stdout.close()
    err = process.stderr.read()
    process.wait(timeout=60)
    assert "Traceback" not in err
