"""Run something in a forked child, and learn how it went. A child that hangs fails the test; it does not stop it."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable

PATIENCE = 120.0  # seconds until a child counts as hanging: what it has to do takes a second or two


def in_child(check: Callable[[], None]) -> Callable[[], None]:
    """Fork; the child calls `check`. Returns a function that waits for the child and raises if it failed or hung."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python warns of forks with threads: that is the point
        child = os.fork()
    if child == 0:
        status = 1
        try:
            check()
            status = 0
        except BaseException:
            traceback.print_exc(file=sys.stderr)
        finally:
            os._exit(status)

    def wait() -> None:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                assert os.waitstatus_to_exitcode(status) == 0, "the child failed: see what it wrote"
                return
            time.sleep(0.01)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise AssertionError(f"the child hung for {PATIENCE:.0f} s")

    return wait
