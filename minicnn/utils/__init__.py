"""``minicnn.utils.data`` under the path that PyTorch programs import it from."""

from . import data

__all__ = ["data"]
