"""Fetches a data file from the first mirror that delivers it, whole and checked.

Pooch downloads into a temporary file beside the target, compares the published MD5 and only then renames, so a file
that is there is whole. The MD5s are checks against a broken transfer, not against an attacker. The transfer itself is
ours: bounded in size, and given up when it stalls, where a socket's timeout would wait as long as single bytes drip
in.

Read next: `mnist.py`, which knows the files and their mirrors.
"""

from __future__ import annotations

import hashlib
import http.client
import logging
import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import DownloadError

_MAX_BYTES = 1 << 30


class _TransferError(Exception):
    """This mirror did not deliver; another may."""


def cache_folder(kind: str) -> Path:
    """Where downloads of a kind are kept: ``$MINICNN_HOME/KIND``, else ``minicnn/KIND`` in the user's cache folder."""
    home = os.environ.get("MINICNN_HOME")
    if home:
        return Path(os.path.expanduser(home)) / kind
    import pooch

    return Path(pooch.os_cache("minicnn")) / kind


def datasets_folder() -> Path:
    """Where data sets are kept."""
    return cache_folder("datasets")


def mirror_urls(data_set: str, file_name: str, mirrors: Sequence[str]) -> list[str]:
    """Where to ask for a file, in order. ``MINICNN_DATASET_MIRROR`` is a base URL that holds a folder a data set."""
    own = os.environ.get("MINICNN_DATASET_MIRROR")
    bases = ([f"{own.rstrip('/')}/{data_set}/"] if own else []) + list(mirrors)
    return [base + file_name for base in bases]


def download(
    urls: Sequence[str],
    md5: str | None,
    target: Path,
    *,
    advice: str,
    stall_seconds: float = 30.0,
    sha256_prefix: str = "",
    max_bytes: int | None = None,
    progress: bool = True,
) -> Path:
    """Fetch ``target`` from the first of ``urls`` that has it.

    Parameters
    ----------
    urls : tried in order.
    md5 : the file's published MD5, against broken transfers; or None.
    target : where the file goes; its folder is made.
    advice : ends the error message: what to do without a network.
    stall_seconds : give a mirror up when it sends less than 8 KiB in this time.
    sha256_prefix : the first hex digits of the file's SHA-256.
    max_bytes : give a mirror up that sends more; 1 GiB by default.
    progress : say what is downloaded, and show a bar on a terminal.

    Raises
    ------
    DownloadError : no mirror delivered, or ``MINICNN_OFFLINE`` is set; the message has each one's reason.
    OSError : the file cannot be written (a full disk, a missing right).
    """
    import pooch

    if os.environ.get("MINICNN_OFFLINE", "0") not in ("", "0") and not target.is_file():
        raise DownloadError(
            f"{target.name}: is not in {target.parent}, and MINICNN_OFFLINE forbids to download it.\n{advice}"
        )
    failures = []

    def downloader(url: str, output: Any, _: Any) -> None:
        _transfer(url, output, stall_seconds, max_bytes, progress)
        if sha256_prefix and not (found := _sha256(output)).startswith(sha256_prefix):
            raise _TransferError(f"the file's SHA-256 begins with {found[: len(sha256_prefix)]}, not {sha256_prefix}")

    for url in urls:
        try:
            with _says(pooch.get_logger(), progress):
                path = pooch.retrieve(
                    url,
                    known_hash=None if md5 is None else f"md5:{md5}",
                    fname=target.name,
                    path=target.parent,
                    downloader=downloader,
                )
            return Path(path)
        except _TransferError as error:
            failures.append(f"  {url}: {error}")
        except ValueError as error:
            if "hash" not in str(error):
                raise
            failures.append(f"  {url}: broken transfer: the file's MD5 is not {md5}")
    raise DownloadError("\n".join([f"{target.name}: no mirror delivered it:", *failures, advice]))


@contextmanager
def _says(logger: logging.Logger, anything: bool) -> Iterator[None]:
    """Of what Pooch says, where from and where to; not its advice on hashes, which is for those who call it."""

    def wanted(record: logging.LogRecord) -> bool:
        return record.levelno > logging.INFO or (anything and "known_hash" not in record.getMessage())

    logger.addFilter(wanted)
    try:
        yield
    finally:
        logger.removeFilter(wanted)


def _sha256(path: Any) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _transfer(url: str, output: Any, stall_seconds: float, max_bytes: int | None = None, progress: bool = True) -> None:
    """``url`` -> ``output``, a path or an open binary file (Pooch passes a path)."""
    if not hasattr(output, "write"):
        with open(output, "wb") as file:
            _transfer(url, file, stall_seconds, max_bytes, progress)
        return
    try:
        request = urllib.request.Request(url, headers={"User-Agent": "minicnn"})
        response = urllib.request.urlopen(request, timeout=stall_seconds)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _TransferError(_reason(error)) from error
    with response:
        declared = response.headers.get("Content-Length", "")
        total = int(declared) if declared.isdigit() else None
        with _progress_bar(url.rsplit("/", 1)[-1], total, progress) as advance:
            received = _copy(response, output, stall_seconds, advance, _MAX_BYTES if max_bytes is None else max_bytes)
    if total is not None and received != total:
        raise _TransferError(f"the transfer broke off after {received} of {total} bytes")


def _copy(response: Any, output: Any, stall_seconds: float, advance: Any, max_bytes: int) -> int:
    received = window_bytes = 0
    window_start = time.monotonic()
    while True:
        try:
            chunk = response.read1(1 << 16)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise _TransferError(f"{_reason(error)} after {received} bytes") from error
        if not chunk:
            return received
        output.write(chunk)
        advance(len(chunk))
        received += len(chunk)
        window_bytes += len(chunk)
        if received > max_bytes:
            raise _TransferError(f"it sends more than {max_bytes} bytes")
        now = time.monotonic()
        if window_bytes >= 8192:
            window_start, window_bytes = now, 0
        elif now - window_start > stall_seconds:
            raise _TransferError(f"too slow: {window_bytes} bytes in {now - window_start:.0f} s")


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code} {error.reason}"
    cause = getattr(error, "reason", error)
    return str(cause) or type(cause).__name__


class _progress_bar:
    """``with _progress_bar(name, total) as advance:`` a bar on a terminal, nothing elsewhere."""

    def __init__(self, name: str, total: int | None, wanted: bool):
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

        self._bar = None
        console = Console(stderr=True)
        if wanted and console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, console=console)
            self._task = self._bar.add_task(name, total=total)

    def __enter__(self) -> Any:
        if self._bar is None:
            return lambda n_bytes: None
        self._bar.start()
        return lambda n_bytes: self._bar.advance(self._task, n_bytes)

    def __exit__(self, *error: Any) -> None:
        if self._bar is not None:
            self._bar.stop()
