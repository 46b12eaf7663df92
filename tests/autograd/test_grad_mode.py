"""Whether operations are recorded: context managers, decorators, threads."""

from __future__ import annotations

import threading

import pytest
import torch

import minicnn as mc


@pytest.fixture(autouse=True)
def mode_is_put_back():
    yield
    left = mc.is_grad_enabled()
    mc.set_grad_enabled(True)
    assert left


def test_context_managers_nest_and_restore():
    x = mc.ones(1, requires_grad=True)
    with mc.no_grad():
        assert not (x * 2).requires_grad
        with mc.enable_grad():
            assert (x * 2).requires_grad
            with mc.set_grad_enabled(False):
                assert not (x * 2).requires_grad
            assert mc.is_grad_enabled()
        assert not mc.is_grad_enabled()
    assert (x * 2).requires_grad


def test_restored_after_an_error():
    with pytest.raises(ZeroDivisionError), mc.no_grad():
        _ = 1 / 0
    assert mc.is_grad_enabled()
    with pytest.raises(ZeroDivisionError), mc.set_grad_enabled(False):
        _ = 1 / 0
    assert mc.is_grad_enabled()
    with mc.no_grad(), pytest.raises(ZeroDivisionError), mc.enable_grad():
        _ = 1 / 0


@pytest.mark.parametrize("m", [mc, torch])
def test_decorators(m):
    @m.no_grad()
    def with_brackets():
        return m.is_grad_enabled()

    @m.no_grad
    def without_brackets(flag):
        """Documented."""
        return m.is_grad_enabled(), flag

    @m.enable_grad()
    def enabled():
        return m.is_grad_enabled()

    @m.set_grad_enabled(False)
    def switched():
        return m.is_grad_enabled()

    assert m.is_grad_enabled()
    assert not with_brackets()
    assert without_brackets(flag=3) == (False, 3)
    assert without_brackets.__name__ == "without_brackets"
    assert without_brackets.__doc__ == "Documented."
    assert not switched()
    assert m.is_grad_enabled()
    with m.no_grad():
        assert enabled()
        assert not m.is_grad_enabled()


@pytest.mark.parametrize("m", [mc, torch])
def test_inference_mode(m):
    @m.inference_mode
    def plain():
        return m.is_grad_enabled()

    @m.inference_mode()
    def called():
        return m.is_grad_enabled()

    assert not plain()
    assert not called()
    assert m.is_grad_enabled()
    with m.inference_mode():
        assert not (m.ones(2, requires_grad=True) * 2).requires_grad
    with m.inference_mode(False):
        assert m.is_grad_enabled()
    assert m.is_grad_enabled()


def test_decorated_functions_may_recurse():
    @mc.no_grad()
    def down(n):
        return mc.is_grad_enabled() or (n > 0 and down(n - 1))

    assert not down(5)


def test_one_manager_used_twice_and_inside_itself():
    manager = mc.no_grad()
    for _ in range(2):
        with manager:
            with manager:
                assert not mc.is_grad_enabled()
            assert not mc.is_grad_enabled()
        assert mc.is_grad_enabled()


def test_set_grad_enabled_as_a_call():
    mc.set_grad_enabled(False)
    assert not mc.is_grad_enabled()
    mc.set_grad_enabled(True)
    assert mc.is_grad_enabled()


def test_each_thread_has_its_own_mode():
    inside, leave = threading.Event(), threading.Event()
    seen = []

    def work():
        seen.append(mc.is_grad_enabled())  # on, though the main thread has switched it off
        with mc.no_grad():
            inside.set()
            leave.wait(10)
            seen.append(mc.is_grad_enabled())

    with mc.no_grad():
        thread = threading.Thread(target=work)
        thread.start()
        assert inside.wait(10)
        with mc.enable_grad():
            assert mc.is_grad_enabled()
        leave.set()
        thread.join()
    assert seen == [True, False]


def test_backward_in_threads():
    """Graphs of different threads do not disturb each other."""
    results = {}

    def work(i):
        x = mc.full((50,), float(i), requires_grad=True)
        for _ in range(20):
            (x * x).sum().backward()
        results[i] = x.grad[0].item()

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert results == {i: 40.0 * i for i in range(4)}


def test_leaves_made_under_no_grad():
    with mc.no_grad():
        x = mc.ones(1, requires_grad=True)
        y = mc.ones(1).requires_grad_()
    assert x.requires_grad
    assert y.requires_grad
    assert (x * y).requires_grad


@pytest.mark.parametrize("m", [mc, torch])
@pytest.mark.filterwarnings(r"ignore:the \(type, exc, tb\) signature of throw")  # torch's, since Python 3.12
def test_decorated_generators(m):
    """The generator's body runs in the mode; whoever uses it does not. Sending, throwing and closing go through."""
    log = []

    @m.no_grad()
    def values():
        try:
            got = yield m.is_grad_enabled()
            log.append((got, m.is_grad_enabled()))
            try:
                yield 2
            except KeyError:
                log.append(("caught", m.is_grad_enabled()))
            yield 3
        finally:
            log.append(("closed", m.is_grad_enabled()))

    generator = values()
    assert next(generator) is False
    assert m.is_grad_enabled()
    assert generator.send("sent") == 2
    assert generator.throw(KeyError) == 3
    assert m.is_grad_enabled()
    generator.close()
    assert log == [("sent", False), ("caught", False), ("closed", False)]

    @m.enable_grad()
    def result():
        yield 1
        return 5

    def outer():
        return (yield from result())

    generator = outer()
    assert next(generator) == 1
    with pytest.raises(StopIteration) as end:
        next(generator)
    assert end.value.value == 5
