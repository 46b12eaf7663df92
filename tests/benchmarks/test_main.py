"""``python -m benchmarks`` from end to end, on tiny shapes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import chosen, main, parse
from benchmarks.registry import BENCHES

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str) -> str:
    """Output of a fresh process; nothing needs to be installed."""
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join([str(ROOT), str(ROOT / "kernels")]), COLUMNS="200")
    command = [sys.executable, "-m", "benchmarks", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_list(capsys):
    main(["--list"])
    told = capsys.readouterr().out
    assert all(name in told for name in BENCHES)


def test_unknown_bench(capsys):
    with pytest.raises(SystemExit):
        parse(["convolution"])
    assert "there is no bench 'convolution'; choose from train_step," in capsys.readouterr().err


def test_choice():
    assert list(chosen(parse([]))) == list(BENCHES)
    assert chosen(parse(["conv", "--only", "1x1"])) == {"conv": ("1x1",)}
    benches = {"train_step", "models", "resnet_block", "memory", "start_up", "weights", "conv", "fused"}
    assert set(chosen(parse(["targets"]))) == benches
    assert chosen(parse(["targets", "conv"]))["conv"] == ()  # all of it, since it was named
    assert chosen(parse(["targets"]))["train_step"] == ("MNIST CNN, batch 64",)


def test_json_and_targets(tmp_path):
    told = run("random", "--quick", "--threads", "1", "--peers", "numpy", "--json", str(tmp_path / "new"))
    assert "numpy" in told
    assert "Peaks measured with 1 thread" in told
    document = json.loads((tmp_path / "new" / "random.json").read_text())
    assert set(document) == {"benchmark", "quick", "date", "threads", "machine", "versions", "runs"}
    assert document["threads"] == [1]
    assert {"cpu", "cores", "system"} <= set(document["machine"])
    assert {"python", "numpy", "numba"} <= set(document["versions"])
    (record,) = document["runs"]
    assert list(record["peers"]) == ["minicnn", "numpy"]
    again = run("random", "--results", str(tmp_path / "new"), "--markdown", str(tmp_path / "table.md"))
    assert "1,024 words" in again
    assert "not measured" in (tmp_path / "table.md").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("bench", BENCHES)
def test_every_bench(bench, tmp_path):
    """torch.compile takes seconds for each module: once, with the whole model, is enough."""
    peers = (
        []
        if bench in ("train_step", "weights", "loading")
        else ["--peers", "channels_last", "JAX", "numpy", "compiled", "fused"]
    )
    run(bench, "--quick", "--threads", "1", "--json", str(tmp_path), *peers)
    document = json.loads((tmp_path / f"{bench}.json").read_text())
    if bench == "start_up":
        cases = {record["case"]: set(record["peers"]) for record in document["runs"]}
        assert "numpy" in cases["import"]  # as targets.py has them
        assert "minicnn, compiled" in cases["first training step, filled cache"]
    assert document["runs"]
    for record in document["runs"]:
        alone = record["case"].startswith("building")  # PyTorch's is not among those asked for
        assert len(record["peers"]) + len(record["skipped"]) > (0 if alone else 1)
        assert bench != "train_step" or len(record["peers"]) + len(record["skipped"]) == 6
        assert all(peer["median"] > 0 for peer in record["peers"].values())
