"""``minicnn.utils.data`` under the path that PyTorch programs import it from, and ``minicnn.utils.dlpack``."""

from . import data, dlpack

__all__ = ["data", "dlpack"]
