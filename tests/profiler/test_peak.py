"""The machine's peak: numbers that can be, and what is measured is what is said."""

import numpy as np

import minicnn as mc
from minicnn.profiler import peak
from minicnn_kernels import use_backend


def test_rates_are_positive_and_finite(monkeypatch):
    monkeypatch.setattr(peak, "COPY", 1 << 20)
    for dtype in (np.float32, np.float64):
        found = peak.measure_peak(dtype, repeats=1)
        assert all(np.isfinite(rate) and rate > 0 for rate in found)
        assert found.forward < 0.1  # seconds


def test_rates_are_work_by_time(monkeypatch):
    monkeypatch.setattr(peak, "PRODUCT", 10)
    monkeypatch.setattr(peak, "COPY", 1 << 10)
    monkeypatch.setattr(peak, "best", lambda work, repeats: (work(), 0.5)[1])
    with use_backend("reference"):
        assert peak.measure_peak() == (4000.0, 4096.0, 0.5 / peak.CHAIN, 0.5 / peak.CHAIN)


def test_it_can_be_measured_where_nothing_is_recorded(monkeypatch):
    monkeypatch.setattr(peak, "PRODUCT", 10)
    monkeypatch.setattr(peak, "COPY", 1 << 10)
    with mc.no_grad():
        assert peak.measure_peak(repeats=1).backward > 0
        assert not mc.is_grad_enabled()


def test_the_best_of_some_tries_after_one_that_does_not_count(monkeypatch):
    times = iter([0.0, 3.0, 10.0, 12.0, 20.0, 25.0])
    monkeypatch.setattr(peak.time, "perf_counter", lambda: next(times))
    calls = []
    assert peak.best(lambda: calls.append(1), 3) == 2.0
    assert len(calls) == 4


def test_a_copy_copies_its_part():
    target = np.zeros(6)
    peak._copy(2, 5, np.arange(6.0), target)
    assert target.tolist() == [0, 0, 2, 3, 4, 0]
