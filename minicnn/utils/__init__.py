"""What PyTorch programs import from ``torch.utils``: ``data``, ``dlpack``, and ``checkpoint`` (less memory for more
computing); and from ``torchvision.utils``: ``make_grid`` and ``save_image``."""

from minicnn.data.grids import make_grid, save_image

from . import checkpoint, data, dlpack

__all__ = ["checkpoint", "data", "dlpack", "make_grid", "save_image"]
