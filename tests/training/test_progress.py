"""What the displays write, and when."""

import io
import re

from minicnn.training import progress
from minicnn.training.progress import PlainProgress, Speed, clock, header


def test_a_line_an_epoch_and_a_sign_of_life_between(make_trainer, monkeypatch):
    out = io.StringIO()
    seconds = iter(range(0, 10_000, 4))  # each look at the clock is four seconds later
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(seconds))
    make_trainer(epochs=2, n=80, callbacks=[PlainProgress(out, every_seconds=10)]).fit()  # 5 steps an epoch
    lines = out.getvalue().splitlines()
    assert lines[0] == header()
    kinds = ["life" if "step" in line else "epoch" for line in lines[1:]]
    assert kinds == ["life", "epoch", "life", "life", "epoch"]  # life after steps 3, 6 and 9 of 10
    assert re.fullmatch(r" +1/2   step 3/5  loss \d\.\d{4}  [\d,]+ images/s  0:00 left", lines[1])
    assert lines[2].split()[0] == "1/2"


def test_the_first_step_and_evaluations_do_not_count():
    speed = Speed()
    speed.step(64, 1000.0)  # after ten minutes of compiling, say
    assert speed.rate == 0
    speed.step(64, 1000.5)
    speed.pause()
    speed.step(64, 2000.0)
    speed.step(32, 2000.25)
    assert speed.rate == 96 / 0.75


def test_clock():
    assert [clock(s) for s in (0, 9.4, 61, 3599.6, 36_000)] == ["0:00", "0:09", "1:01", "1:00:00", "10:00:00"]


def test_a_resumed_run_shows_the_epochs_before(make_trainer):
    first = make_trainer(epochs=2)
    first.fit()
    out = io.StringIO()
    second = make_trainer(epochs=2, callbacks=[PlainProgress(out)])
    second.load_state_dict(first.state_dict())
    second.fit()
    assert [line.split()[0] for line in out.getvalue().splitlines()[1:]] == ["1/2", "2/2"]
