"""Where compiled kernels are kept between runs.

Compiling every kernel takes seconds, loading them milliseconds, so Numba's machine code is cached on disk: in
``MINICNN_CACHE_DIR`` if that is set, else in the user's cache folder, never beside the sources (an installed package
may be read-only). If that folder cannot be written, a temporary one for this user is taken;
``compile_cache_status()`` says so.

A stale cache must be impossible, and Numba's own check sees only the file of the function itself, not the functions
that it calls. So the folder's name has a hash of everything that goes into the machine code: all sources of this package,
the versions of Numba and llvmlite, the choice of vector width. (The processor itself is part of Numba's own key.)
After any change a new folder is used; the old ones may be deleted at will.
"""

import functools
import getpass
import hashlib
import os
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple


class CompileCacheStatus(NamedTuple):
    """Where the compiled kernels are kept, and why there."""

    folder: Path
    reason: str
    persistent: bool


def compile_cache_dir() -> Path:
    """The folder in which Numba keeps this version's compiled kernels."""
    return compile_cache_status().folder


@functools.cache
def compile_cache_status() -> CompileCacheStatus:
    """The same, with the reason for the choice, and whether later runs will find it there.

    Decided once a process: the kernels that are loaded already could not move.
    """
    chosen, reason = _wanted_folder()
    name = f"kernels-{_fingerprint()}"
    problem = _create(chosen / name)
    if problem is None:
        return CompileCacheStatus(chosen / name, reason, persistent=True)
    temporary = Path(tempfile.gettempdir()) / f"minicnn-{_user()}" / name
    reason = f"{chosen} ({reason}) cannot be written: {problem}"
    if _create(temporary) is None:
        return CompileCacheStatus(temporary, f"temporary folder, because {reason}", persistent=False)
    # Somebody else's folder of that name, or no room: a fresh one for this process still lets everything run.
    return CompileCacheStatus(
        Path(tempfile.mkdtemp(prefix="minicnn-")), f"folder of this process, because {reason}", persistent=False
    )


def _wanted_folder() -> tuple[Path, str]:
    if override := os.environ.get("MINICNN_CACHE_DIR"):
        return Path(override).expanduser().absolute(), "environment variable MINICNN_CACHE_DIR"
    try:
        home = Path.home()
    except RuntimeError:  # a user without an entry in the password database
        home = Path(tempfile.gettempdir()) / f"minicnn-{_user()}"
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return base / "minicnn" / "numba", "the user's cache folder"


def _fingerprint() -> str:
    digest = hashlib.sha256()
    package = Path(__file__).parent
    for source in sorted(package.rglob("*.py")):  # cpu/, and what it takes constants from
        digest.update(source.relative_to(package).as_posix().encode() + b"\0" + source.read_bytes() + b"\0")
    settings = sorted(
        (name, value)
        for name, value in os.environ.items()
        if value and (name == "MINICNN_SIMD" or name.startswith("NUMBA_"))
    )  # (NUMBA_BOUNDSCHECK=1, say, makes other code)
    build = [*map(version, ("numba", "llvmlite", "numpy")), sys.version, settings]
    digest.update(repr(build).encode())
    return digest.hexdigest()[:16]


def _create(folder: Path) -> str | None:
    """Make `folder` and try a file in it; return what went wrong, if anything."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if hasattr(os, "getuid") and folder.stat().st_uid != os.getuid():
            return "it belongs to another user"  # whose machine code must not run here
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return error.strerror or str(error)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no entry in the password database
        return str(os.getuid()) if hasattr(os, "getuid") else "user"
