"""Running the scripts that put kernels' arrays between protected pages, in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def assert_untouched(script: str, *arguments: str, **environment: str) -> None:
    """``python -m tests.helpers.SCRIPT`` ends well. Exit status -11: a protected page was touched."""
    run = subprocess.run(
        [sys.executable, "-m", f"tests.helpers.{script}", *arguments],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])} | environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, f"exit status {run.returncode}\n{run.stderr[-3000:]}"
    assert run.stdout.strip() == "untouched"
