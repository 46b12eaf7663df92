"""The errors that loading data raises, all below one class, so that a program can catch `DatasetError` and be done.

Each message names the file or argument, what was found there, what was expected, and what to do about it.
"""

from __future__ import annotations


class DatasetError(ValueError):
    """A data set's files, images or labels are not what they should be."""


class IDXFormatError(DatasetError):
    """A file is not the IDX file it should be; see :func:`minicnn.data.read_idx`."""


class ImageReadError(DatasetError):
    """An image file cannot be opened or decoded."""


class DatasetNotFoundError(DatasetError, FileNotFoundError):
    """No place that was searched holds the data set, or a folder holds no images."""


class DownloadError(DatasetNotFoundError):
    """No mirror delivered the file that was asked for."""
