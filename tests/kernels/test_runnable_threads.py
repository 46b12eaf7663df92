"""No more runnable threads than ``set_num_threads``: counted from outside, in /proc, while a process trains.

NumPy's BLAS keeps threads of its own, which spin for a while after each product. None of our kernels calls it, so they must
sleep throughout: not one context switch, not a tick of processor time.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="counts threads in Linux' /proc")

ROOT = Path(__file__).parents[2]
SAMPLES = 400
BLAS_THREADS = 4  # asked for, so that there are some to wake even where there is only one core


class Watched(NamedTuple):
    """A process that works in a loop, and the threads it had when it had imported NumPy and nothing else."""

    process: subprocess.Popen[str]
    blas: list[str]

    def answer(self) -> str:
        line = self.process.stdout.readline()
        assert line, "the process died: " + self.process.stderr.read()[-3000:]
        return line

    def work(self, kind: str, n_threads: int) -> None:
        """Let it work, and wait until everything is compiled."""
        self.process.stdin.write(f"{kind} {n_threads}\n")
        self.process.stdin.flush()
        assert self.answer() == "ready\n"

    def tasks(self) -> Path:
        return Path(f"/proc/{self.process.pid}/task")

    def runnable(self) -> int:
        """How many threads run now, or would if there were a core."""
        states = [(task / "stat").read_text().rpartition(")")[2].split()[0] for task in self.tasks().iterdir()]
        return states.count("R")

    def activity_of_blas(self) -> list[tuple[str, ...]]:
        """What changes whenever one of BLAS' threads so much as wakes up: processor time and context switches."""
        found = []
        for task in self.blas:
            status = (self.tasks() / task / "status").read_text().splitlines()
            switches = tuple(line for line in status if "ctxt_switches" in line)
            assert len(switches) == 2
            found.append((*(self.tasks() / task / "stat").read_text().rpartition(")")[2].split()[11:13], *switches))
        return found

    def most_runnable(self) -> int:
        """The largest of many counts, taken at all points of the loop."""
        counts = []
        for i in range(SAMPLES):
            counts.append(self.runnable())
            time.sleep(0.002 + i % 7 * 0.0003)  # no multiple of anything
        assert sum(count > 0 for count in counts) > SAMPLES / 2, "it hardly worked: nothing was counted"
        return max(counts)


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    variables = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    for library in ("OPENBLAS", "MKL", "OMP"):
        variables[f"{library}_NUM_THREADS"] = str(BLAS_THREADS)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.helpers.busy_loop"],
        env=variables | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        watched = Watched(process, [])
        first, *others = watched.answer().split()
        watched.blas.extend(task for task in (first, *others) if task != str(process.pid))
        yield watched
        process.kill()


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("kind", ["eager", "compiled", "operations"])
def test_no_more_than_were_asked_for(watched, kind, n_threads):
    """First two threads, then one: the second, still there, must sleep."""
    watched.work(kind, 2)
    watched.work(kind, n_threads)
    before = watched.activity_of_blas()
    assert watched.most_runnable() == n_threads
    assert watched.activity_of_blas() == before


def test_the_count_sees_the_threads_of_blas(watched):
    """The test of the test."""
    if not watched.blas:
        pytest.skip("this NumPy's BLAS has no threads of its own")
    watched.work("blas", 1)
    before = watched.activity_of_blas()
    assert watched.most_runnable() > 1
    assert watched.activity_of_blas() != before
