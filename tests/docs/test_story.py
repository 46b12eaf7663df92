"""The measured steps of ``docs/fast_convolution``: each computes the same convolution, and the tables have their rows."""

import numpy as np
import pytest

from benchmarks import story
from minicnn_kernels import cpu, reference


@pytest.fixture(scope="module")
def convolutions():
    return story.convolutions(story.TINY)


def result(step):
    return np.asarray(step.call())


def test_all_compute_the_same(convolutions):
    wanted = next(result(step) for step in convolutions if step.name == "minicnn, direct")
    assert wanted.shape == (1, 16, 8, 8)
    # Sums of 144 products of about 1: errors of float32 are some 1e-6, Winograd's ten times that.
    for step in convolutions:
        if "piece" not in step.name:
            np.testing.assert_allclose(result(step), wanted, rtol=0, atol=2e-4, err_msg=step.name)


def test_operations_are_counted(convolutions):
    """A piece has operations of its own; everything else 2 * c_out * h_out * w_out * c_in * 9."""
    amounts = {step.name: step.amount for step in convolutions}
    assert {amount for name, amount in amounts.items() if "piece" not in name} == {2 * 16 * 8 * 8 * 16 * 9}


def test_piece_is_a_convolution(convolutions):
    x = np.random.default_rng(0).standard_normal((1, 8, 10, 10), np.float32)
    weight = np.random.default_rng(1).standard_normal((4, 8, 3, 3), np.float32)
    by_hand = story.functions_of("loop")["conv_python"](x, weight)
    np.testing.assert_allclose(by_hand, reference.conv_forward(x, weight, None, *story.NO_WINDOW), rtol=0, atol=1e-4)
    np.testing.assert_allclose(
        by_hand, cpu.conv_forward(x, weight, None, *story.NO_WINDOW, "direct"), rtol=0, atol=1e-4
    )


def test_one_pass_and_three_agree():
    three, one, *training = (result_of_any(step) for step in story.memory_bound(story.TINY))
    np.testing.assert_allclose(one, three, rtol=1e-5, atol=1e-6)
    for other in training[1:]:
        np.testing.assert_allclose(other, training[0], rtol=0, atol=1e-5)


def result_of_any(step):
    out = step.call()
    return out if isinstance(out, np.ndarray) else out.detach().numpy()


def test_table():
    steps = [story.Step("quick", "3", 1e9, lambda: None), story.Step("slow", "1", 1e6, lambda: None)]
    lines = story.table(steps, [[[0.01, 0.02], [0.03]], [[0.1], [0.1, 0.1]]], "GFLOP/s", 100).splitlines()
    assert lines[2] == "| quick | 3 | 20.00 | 50.0 (40.0 to 66.7) | 50% |"
    assert lines[3] == "| slow | 1 | 100.00 | 0.010 (0.010 to 0.010) | 0.01% |"


def test_page_has_the_marks():
    text = (story.PAGES / "index.md").read_text(encoding="utf-8")
    assert all(text.count(mark) == 1 for mark in story.MARKS)
