"""Every bench, on tiny shapes: its cases can be made and called, and the peers do the same work. No time is looked at."""

import importlib.util

import numpy as np
import pytest
import torch

import minicnn as mc
from benchmarks import (
    bench_conv,
    bench_loading,
    bench_matmul,
    bench_memory,
    bench_start_up,
    bench_train_step,
    case,
    peaks,
    worker,
)
from benchmarks.case import (
    CHANNELS_LAST,
    COMPILED,
    INDUCTOR,
    JAX,
    MINICNN,
    TORCH,
    Case,
    ProcessCase,
    Setting,
    library_of,
)
from benchmarks.registry import BENCHES, headline, load
from benchmarks.worker import Order, select

QUICK = Setting(quick=True)
PROCESSES = tuple(name for name in BENCHES if hasattr(load(name), "PROCESSES"))
HERE = (MINICNN, COMPILED, TORCH, CHANNELS_LAST, "numpy")  # peers that are quick to begin with


SLOW = {"models": pytest.mark.slow}  # builds the zoo


@pytest.mark.parametrize(
    "bench", [pytest.param(name, marks=SLOW.get(name, ())) for name in BENCHES if name not in PROCESSES]
)
def test_cases_run(bench):
    cases = list(load(bench).cases(QUICK))
    assert len({c.name for c in cases}) == len(cases)
    for c in cases:
        assert next(iter(c.peers)) == MINICNN
        assert c.bytes > 0
        for peer in c.peers:
            if peer in HERE or peer.startswith(f"{MINICNN}, "):
                c.calls(peer, cached=True)()


@pytest.mark.parametrize("bench", BENCHES)
def test_full_cases_say_what_the_floor_is(bench):
    assert len(headline(bench)) < 140
    if bench not in ("start_up", "weights", "loading"):  # making these cases fills a compile cache, or writes files
        for c in load(bench).cases(Setting()):
            assert c.unit == "MiB" if isinstance(c, ProcessCase) else c.bytes > 0


@pytest.mark.parametrize("name", bench_conv.QUICK)
@pytest.mark.parametrize("part", bench_conv.PARTS)
def test_convolutions_of_all_peers_agree(name, part):
    shape = bench_conv.QUICK[name]
    (run,) = (c for c in bench_conv.cases(QUICK) if c.name == f"{name}: {part}")
    results = {}
    for peer in run.peers:
        if peer == JAX:
            continue
        result = run.calls(peer)()
        if isinstance(result, tuple):  # of the gradients that were asked for, the others None
            (result,) = (r for r in result if r is not None)
        results[peer] = np.asarray(result).reshape(results.get(MINICNN, result).shape)  # (a sequence as an image)
    expected = results.pop(TORCH)
    for peer, result in results.items():
        # float32 sums of at most 9 x 8 x 36 products of numbers around 1; Winograd's error is about ten times larger
        np.testing.assert_allclose(result, expected, rtol=1e-3, atol=1e-3, err_msg=f"{peer} {shape}")


def test_flops_of_a_convolution_by_hand():
    shape = bench_conv.Shape(n=2, c_in=3, c_out=5, size=4, kernel=3, stride=1, padding=0)
    assert shape.out == (2, 2)
    assert shape.flops == 2 * (2 * 2 * 2) * 5 * 3 * 9


@pytest.mark.parametrize("peer", [MINICNN, TORCH])
def test_photographs_are_loaded_by_all_peers(peer, tmp_path):
    bench_loading.write(str(tmp_path), 18)
    make = bench_loading._minicnn_loader if peer == MINICNN else bench_loading._torch_loader
    shapes = [tuple(images.shape) for images, _ in make(str(tmp_path), 0)]
    assert shapes == [(16, 3, 64, 64), (2, 3, 64, 64)]
    assert bench_loading.run(peer, str(tmp_path), 0, 0) > 0


def test_products_agree():
    for c in bench_matmul.cases(QUICK):
        expected = c.calls("numpy")()
        for peer in (MINICNN, TORCH):
            np.testing.assert_allclose(np.asarray(c.calls(peer)()), expected, rtol=1e-5, atol=1e-5)


def test_network_is_the_one_that_is_trained_by_default():
    own = [tuple(p.shape) for p in mc.models.mnist_cnn().parameters()]
    for nn in (mc.nn, torch.nn):
        assert [tuple(p.shape) for p in bench_train_step.mnist_cnn(nn).parameters()] == own


def test_operands_in_turn(monkeypatch):
    monkeypatch.setattr(case, "UNCACHED", 100)
    made = []

    def make():
        made.append(len(made))
        number = made[-1]
        return lambda: number

    call = Case("c", {"a": make}, operands=40).calls("a")
    assert [call() for _ in range(4)] == [0, 1, 2, 0]
    assert Case("c", {"a": make}, operands=40).calls("a", cached=True)() == 3
    assert Case("c", {"a": make}).calls("a")() == 4


def test_missing_peers_are_skipped_and_told(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(case.shutil, "which", lambda name: None)
    run, skipped = select([MINICNN, COMPILED, TORCH, INDUCTOR, JAX, "numpy"], ())
    assert run == [MINICNN, COMPILED, "numpy"]
    assert skipped == {
        TORCH: "torch is not installed",
        INDUCTOR: "torch is not installed",
        JAX: "jax is not installed",
    }


def test_start_up_imports_only_what_is_installed(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "jax" else found(name))
    ran = []
    monkeypatch.setattr(bench_start_up, "seconds", lambda code, *rest: ran.append(code))
    next(bench_start_up.cases(QUICK))
    assert "import torch" in ran
    assert "import jax" not in ran


def test_compiling_needs_a_compiler(monkeypatch):
    monkeypatch.setattr(case.shutil, "which", lambda name: None)
    assert case.missing(INDUCTOR) == "torch.compile needs a C++ compiler"
    assert case.missing(TORCH) is None


def test_peers_can_be_chosen():
    run, skipped = select([MINICNN, COMPILED, TORCH, CHANNELS_LAST], ["channels_last"])
    assert run == [MINICNN, CHANNELS_LAST]
    assert not skipped


@pytest.mark.parametrize(
    ("peer", "library"),
    [(MINICNN, "minicnn"), (COMPILED, "minicnn"), (CHANNELS_LAST, "torch"), (INDUCTOR, "torch"), (JAX, "jax")],
)
def test_library_of_a_peer(peer, library):
    assert library_of(peer) == library


def test_record_of_a_case():
    threads = mc.get_num_threads()
    limits = peaks.measure(1, quick=True)
    mc.set_num_threads(threads)
    assert limits.gflops > 0
    assert limits.gbs > 0
    order = Order("activation", quick=True, peers=("torch, channels_last",))
    (c,) = load("activation").cases(QUICK)
    record = worker.measure(c, order, worker.noise.Reference(1), limits)
    fields = {"bench", "case", "threads", "unit", "flops", "bytes", "peers", "skipped", "noise", "peaks"}
    assert set(record) == fields
    assert set(record["peers"]) == {MINICNN, CHANNELS_LAST}
    for peer in record["peers"].values():
        assert set(peer) == {"median", "q1", "q3", "calls", "ratio", "cores"}
        assert peer["q1"] <= peer["median"] <= peer["q3"]
    assert set(record["noise"]) == {"compute", "memory", "slowest", "noisy", "attempts"}


def test_resident_memory_is_counted():
    peak, now = bench_memory.resident()
    assert peak >= now > 10  # MiB: Python and NumPy alone take more
