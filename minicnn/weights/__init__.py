"""Files of weights: reading and writing named arrays, without ever running what is in them.

:mod:`minicnn.weights.safetensors` is the format minicnn writes, and PyTorch reads. Every malformed file raises
:class:`CheckpointError`. Training checkpoints, which hold more than weights, are :mod:`minicnn.training.checkpoint`.
"""

from .errors import CheckpointError
from .safetensors import load_arrays, load_state_dict_file, read_metadata, save_arrays, save_state_dict

__all__ = [
    "CheckpointError",
    "load_arrays",
    "load_state_dict_file",
    "read_metadata",
    "save_arrays",
    "save_state_dict",
]
