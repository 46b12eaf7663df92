"""Whole training steps in several Python threads, and after a fork: the same bits as alone."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

import numpy as np
import pytest

import minicnn as mc
from minicnn_kernels import threads
from tests.helpers.child import in_child
from tests.helpers.kernel_cases import num_threads
from tests.helpers.training import MODELS, batch, bits, build, steps, trained, without_dropout

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def in_threads(*functions: Callable[[], None]) -> None:
    """Run them at once, and raise what any of them raised."""
    failures: list[BaseException] = []
    start = threading.Barrier(len(functions))

    def run(function: Callable[[], None]) -> None:
        try:
            start.wait()
            function()
        except BaseException as error:
            failures.append(error)

    workers = [threading.Thread(target=run, args=(function,)) for function in functions]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if failures:
        raise failures[0]


@pytest.mark.parametrize("n_threads", [pytest.param(1, marks=pytest.mark.slow), 2])
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_separate_models_train_at_once(compiled, n_threads):
    """One model a Python thread, four threads; dropout off, since all would draw from one generator."""
    made = []
    for name in MODELS:
        for _ in range(2):  # once alone, once among others
            model = without_dropout(build(name))
            made.append((name, mc.compile(model) if compiled else model))
    alone, among = made[::2], made[1::2]
    with num_threads(n_threads):
        expected = {name: bits(model, list(steps(model, *batch(name), 4))) for name, model in alone}
        found = {}

        def train(name: str, model: mc.nn.Module) -> None:
            found[name] = bits(model, list(steps(model, *batch(name), 4)))

        in_threads(*(lambda name=name, model=model: train(name, model) for name, model in among))
    for name in MODELS:
        assert found[name] == expected[name], name


def test_one_model_for_several_threads():
    """Gradients of one model for different images at once, asked for by ``grad`` so that nothing is added up."""
    model = without_dropout(build("lenet5"))
    parameters = list(model.parameters())
    runners = {"eager": model, "compiled": mc.compile(model)}
    inputs = [batch("lenet5", seed=seed) for seed in range(4)]

    def gradients(runner: mc.nn.Module, i: int) -> bytes:
        images, labels = inputs[i]
        loss = mc.nn.functional.cross_entropy(runner(images), labels)
        return b"".join(g.numpy().tobytes() for g in mc.autograd.grad(loss, parameters))

    with num_threads(2):
        for runner in runners.values():
            expected: list[bytes] = []

            def check(i: int, runner: mc.nn.Module = runner, expected: list[bytes] = expected) -> None:
                for _ in range(5):
                    assert gradients(runner, i) == expected[i]

            if runner is model:
                expected += [gradients(runner, i) for i in range(4)]
            else:  # the very first call, which traces, is made by all threads together
                other = mc.compile(model)
                expected += [gradients(other, i) for i in range(4)]
            in_threads(*(lambda i=i, check=check: check(i) for i in range(4)))


def test_the_generator_gives_each_draw_to_one_thread():
    """However many threads draw from one generator, the draws together are those that one thread would have made."""
    draws = 400
    generator = mc.Generator().manual_seed(3)
    expected = {mc.rand(4, generator=generator).numpy().tobytes() for _ in range(4 * draws)}
    generator.manual_seed(3)
    found: list[bytes] = []

    def draw() -> None:
        for _ in range(draws):
            found.append(mc.rand(4, generator=generator).numpy().tobytes())

    in_threads(*[draw] * 4)
    assert set(found) == expected


@needs_fork
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_training_goes_on_in_parent_and_child(compiled):
    """Fork between two steps: both go on, and both come to where they would have come without a fork."""
    for name in MODELS:
        with num_threads(2):
            expected = trained(name, compiled=compiled, count=4)
            model = build(name)
            runner = mc.compile(model) if compiled else model
            running = steps(runner, *batch(name), 4)
            losses = [next(running), next(running)]

            def go_on() -> None:
                assert bits(model, losses + list(running)) == expected  # noqa: B023 (called before the next round)

            wait = in_child(go_on)
            go_on()
            wait()


@needs_fork
def test_fork_while_another_thread_is_inside_a_kernel():
    """The child has a lock that nobody will ever release, and a pool without threads."""
    x = np.random.default_rng(0).standard_normal((600, 600)).astype(np.float32)
    stop = threading.Event()

    def multiply() -> None:
        a = mc.from_numpy(x)
        while not stop.is_set():
            a @ a

    with num_threads(2):
        expected = trained("mnist_cnn")
        worker = threading.Thread(target=multiply)
        worker.start()
        try:
            for _ in range(5):
                while not threads._pool.busy.locked():
                    pass

                def train() -> None:
                    assert trained("mnist_cnn") == expected
                    assert threads._pool.inboxes  # threads of its own

                wait = in_child(train)
                assert trained("mnist_cnn") == expected
                wait()
        finally:
            stop.set()
            worker.join()
