"""What PyTorch programs import from ``torch.utils``: ``data``, ``dlpack``, and ``checkpoint`` (less memory for more
computing)."""

from . import checkpoint, data, dlpack

__all__ = ["checkpoint", "data", "dlpack"]
