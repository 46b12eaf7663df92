"""Files of weights: reading and writing them, without ever running what is in them.

=================  ==========================================================================================
files.py           ``load`` and ``save``: which format it is
torch_pickle.py    the pickle in PyTorch's files, interpreted by an exact table of harmless constructors
pickled_values.py  those of them that make plain values: containers, NumPy's arrays, dates, paths
torch_zip.py       PyTorch's files since 1.6
torch_legacy.py    those before
torch_save.py      writing them
reduced_values.py  those of plain values that are written as calls
safetensors.py     the format that minicnn itself prefers, and PyTorch reads
bytes_of.py        pieces of a file, read or mapped
atomic.py          files that are whole or absent
=================  ==========================================================================================

Every malformed file raises :class:`CheckpointError`. Training checkpoints, which hold more than weights, are
:mod:`minicnn.training.checkpoint`.
"""

from .errors import CheckpointError
from .files import load, save
from .safetensors import load_arrays, load_state_dict_file, read_metadata, save_arrays, save_state_dict

__all__ = [
    "CheckpointError",
    "load",
    "load_arrays",
    "load_state_dict_file",
    "read_metadata",
    "save",
    "save_arrays",
    "save_state_dict",
]
