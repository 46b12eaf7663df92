"""`minicnn warmup`: what it prints, and how it says no."""

import re

from minicnn_kernels import compile_cache_dir


def test_it_says_what_it_did_and_where(run_here):
    code, out, err = run_here("warmup", "mlp", "cnn")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "1/9  random numbers"
    assert lines[5] == "6/9  mnist_cnn float32: training"
    assert re.fullmatch(r"(compiled what was missing|everything was there: loaded) in \d+\.\d s.*", lines[9])
    assert re.fullmatch(rf"cache: {re.escape(str(compile_cache_dir()))} \(\d+ files, \d+\.\d MB\)", lines[10])
    code, out, _ = run_here("warmup", "mlp")
    assert "everything was there: loaded in" in out
    size = re.search(r"\d+ files, \d+\.\d MB", out).group()
    assert size in run_here("info")[1]


def test_types_can_be_chosen(run_here):
    code, out, _ = run_here("warmup", "mlp", "--dtype", "float64", "--dtype", "float32", "--dtype", "float64")
    assert code == 0
    assert out.count("mlp float64: training") == out.count("mlp float32: training") == 1


def test_errors(run_here):
    code, _, err = run_here("warmup", "resnet50")
    assert (code, err.count("\n")) == (2, 1)
    assert "MODEL resnet50: there is cnn, lenet5, mlp, mnist_cnn" in err
    code, _, err = run_here("warmup", "--all", "mlp")
    assert code == 2
    assert "--all means all models and types: leave the others out" in err
    code, _, err = run_here("warmup", "--dtype", "float16")
    assert code == 2
    assert "float16" in err


def test_nothing_to_compile(run_apart):
    code, _, err = run_apart("warmup", "mlp", env={"NUMBA_DISABLE_JIT": "1"})
    assert code == 1
    assert err == "error: the environment variable NUMBA_DISABLE_JIT is set, so nothing is compiled: unset it\n"
