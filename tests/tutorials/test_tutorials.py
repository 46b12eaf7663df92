"""PyTorch scripts run here under minicnn with nothing but their imports exchanged.

Each script is run under PyTorch too, unchanged: that is what makes it a PyTorch script. Both must learn.
"""

import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import minicnn as mc

HERE = Path(__file__).parent
DIGITS = Path(mc.__file__).parent / "data" / "mnist10k"

# Script, its arguments in a test, and by how much the loss must fall and what must be reached with these few steps.
SCRIPTS = [
    ("mnist_cnn", ["--data", str(DIGITS), "--max-steps", "25", "--lr", "2e-3"], 0.5),
    ("mlp_tensor_dataset", ["--points", "1000", "--epochs", "20"], 0.3),
    ("custom_function", ["--steps", "60"], 0.2),
]


def under_minicnn(source: str) -> str:
    """The script with its imports exchanged, and nothing else."""
    source = re.sub(r"^import (torch|torchvision)$", r"import minicnn as \1", source, flags=re.MULTILINE)
    return re.sub(r"^(import|from) (torch|torchvision)\b", r"\1 minicnn", source, flags=re.MULTILINE)


@pytest.fixture
def run_script(monkeypatch):
    """Run a script's ``main`` in a module of its own; the generators' states are put back afterwards."""
    state, torch_state, threads = mc.get_rng_state(), torch.get_rng_state(), torch.get_num_threads()
    torch.set_num_threads(1)  # its workers spin between steps as small as these

    def run(name: str, source: str, arguments: list[str]):
        module = types.ModuleType(f"tutorial_{name}")
        monkeypatch.setitem(sys.modules, module.__name__, module)
        exec(compile(source, str(HERE / f"{name}.py"), "exec"), module.__dict__)
        return module.main(arguments)

    yield run
    torch.set_num_threads(threads)
    torch.set_rng_state(torch_state)
    mc.set_rng_state(state)


@pytest.mark.parametrize("framework", ["minicnn", "torch"])
@pytest.mark.parametrize(("name", "arguments", "fraction"), SCRIPTS, ids=[script[0] for script in SCRIPTS])
def test_script_learns(run_script, capsys, framework, name, arguments, fraction):
    source = (HERE / f"{name}.py").read_text(encoding="utf-8")
    if framework == "minicnn":
        source = under_minicnn(source)
    losses, reached = run_script(name, source, arguments)
    printed = capsys.readouterr().out
    few = max(1, len(losses) // 5)
    assert sum(losses[-few:]) / few < fraction * losses[0]
    if name == "mnist_cnn":
        assert "1,630,282 parameters" in printed
        assert reached > 0.7  # a guess is right once in ten
    elif name == "mlp_tensor_dataset":
        assert reached > 0.9  # a guess is right once in two
    else:
        assert reached != 1.0  # the learned slope has left its initial value


def test_only_imports_are_exchanged():
    """The two versions of a script differ in import lines alone, and no torch is left."""
    for name, _, _ in SCRIPTS:
        source = (HERE / f"{name}.py").read_text(encoding="utf-8")
        pairs = list(zip(source.splitlines(), under_minicnn(source).splitlines(), strict=True))
        changed = [(old, new) for old, new in pairs if old != new]
        assert changed
        assert all(re.match(r"(import|from) torch", old) for old, _ in changed)
        assert not any(re.match(r"\s*(import|from) torch", new) for _, new in pairs)


def test_transfer_learning(run_script, tmp_path):
    """The script needs torchvision, so it runs here alone: two classes of small pictures, told apart by their colour."""
    draw = np.random.default_rng(0)
    for phase, count in (("train", 12), ("val", 6)):
        for label in range(2):
            folder = tmp_path / phase / f"class{label}"
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = draw.integers(0, 120, (40 + i, 44, 3), np.uint8)
                pixels[..., label] += 100
                Image.fromarray(pixels).save(folder / f"{i}.jpg")
    mc.manual_seed(0)
    mc.save(mc.models.resnet18().state_dict(), tmp_path / "weights.pth")
    source = (HERE / "transfer_learning.py").read_text(encoding="utf-8")
    arguments = [str(tmp_path), "--weights", str(tmp_path / "weights.pth")]
    losses, best = run_script("transfer_learning", under_minicnn(source), arguments)
    assert np.mean(losses[-3:]) < 0.7 * losses[0]
    assert best >= 0.75
