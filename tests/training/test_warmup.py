"""Warming up: what it says, what it leaves alone, and that nothing is compiled after it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import minicnn as mc
from minicnn.training import warm_up
from minicnn.training.warmup import cache_size
from minicnn_kernels import compile_cache_dir

ROOT = Path(__file__).parents[2]


def test_it_tells_each_job_and_leaves_the_generator_alone():
    told = []
    state = mc.random.default_generator.get_state()
    done = warm_up(["mlp"], on_job=lambda *arguments: told.append(arguments))
    assert mc.random.default_generator.get_state() == state
    assert [(i, total) for i, total, _ in told] == [(i, 5) for i in range(6)]
    assert [name for *_, name in told] == [
        *("random numbers", "mlp float32: training", "mlp float32: evaluation and prediction"),
        *("mlp float32 (compiled): training", "mlp float32 (compiled): evaluation and prediction", ""),
    ]
    assert (done.jobs, done.folder) == (5, compile_cache_dir())
    assert done.after == cache_size(done.folder)
    assert warm_up(["mlp"]).new_files == 0  # this process has them all


def test_the_reference_back_end_in_use_is_no_reason_not_to_compile():
    with mc.use_backend("reference"):
        assert warm_up(["mlp"]).jobs == 5


def test_wrong_arguments():
    with pytest.raises(ValueError, match="models: 'resnet' is not known; expected some of lenet5, mlp, mnist_cnn"):
        warm_up(["mlp", "resnet"])
    with pytest.raises(TypeError, match=r"dtypes: expected minicnn.float32 or minicnn.float64, got minicnn.int64"):
        warm_up(dtypes=[mc.int64])


def run(*arguments, cache=None, folder=None):
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'kernels'}"}
    if cache is not None:
        environment["MINICNN_CACHE_DIR"] = str(cache)
    command = [sys.executable, *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=400, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow  # an empty cache: everything is compiled
def test_after_a_warm_up_nothing_is_left_to_compile(tmp_path):
    from PIL import Image

    def files():
        return {(file.name, file.stat().st_mtime_ns) for file in (tmp_path / "cache").rglob("*") if file.is_file()}

    def minicnn(*arguments):
        return run("-m", "minicnn", *arguments, cache=tmp_path / "cache", folder=tmp_path)

    assert "compiled what was missing" in minicnn("warmup")
    before = files()
    assert len(before) > 50
    assert "everything was there" in minicnn("warmup")
    digit = Image.new("L", (40, 40), 255)
    digit.paste(0, (18, 8, 22, 32))  # a one
    digit.save(tmp_path / "digit.png")
    small = ("--epochs", "1", "--limit-train", "150", "--limit-test", "70")
    for i, recipe in enumerate(
        [
            ("--model", "cnn", "--augment", "--threads", "2"),
            ("--model", "cnn", "--no-compile", "--threads", "1", "--optimizer", "sgd"),
            ("--model", "lenet5", "--optimizer", "adamw", "--weight-decay", "0.01", "--threads", "1"),
            ("--model", "mlp", "--optimizer", "sgd", "--momentum", "0", "--batch-size", "19"),
        ]
    ):
        minicnn("train", *small, *recipe, "--out", f"run{i}")
        minicnn("evaluate", f"run{i}", "--limit", "33")
        minicnn("predict", f"run{i}", "digit.png")
        assert files() == before, recipe


# Prints the kernels that Python code calls, and that were not compiled for both types after warm_up(layers=True).
LEFT_OVER = """
import ast, importlib, inspect, pkgutil
import minicnn as mc
from minicnn.training import warm_up
from minicnn_kernels import cpu

warm_up(dtypes=[mc.float32, mc.float64], layers=True)
for info in pkgutil.iter_modules(cpu.__path__):
    module = importlib.import_module(f"minicnn_kernels.cpu.{info.name}")
    plain = [
        node for node in ast.parse(inspect.getsource(module)).body
        if isinstance(node, ast.FunctionDef) and not node.decorator_list
    ]
    for name in {node.id for function in plain for node in ast.walk(function) if isinstance(node, ast.Name)}:
        kernel = getattr(module, name, None)
        if hasattr(kernel, "signatures") and kernel.targetoptions.get("inline") != "always":
            types = str(kernel.signatures)
            if name in ("_erf_loop", "_erf32_loop"):  # one a type
                types = "float32 float64" * bool(kernel.signatures)
            if not kernel.signatures or ("float32" in types) != ("float64" in types):
                print(module.__name__, name)
"""


@pytest.mark.slow
def test_with_layers_every_kernel_is_compiled():
    left_over = run("-c", LEFT_OVER)
    assert left_over == "", "warmup.py's _layer_jobs should call these too"
