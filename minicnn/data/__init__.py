"""Data sets, samplers, loaders and transforms: torch.utils.data, and what torchvision has for small images.

Where to read what:

- `dataset.py`, `sampler.py`, `collate.py`: torch.utils.data's building blocks
- `loader.py`, `fetch.py`, `workers.py`: DataLoader, one batch, its threads; `randomness.py`: whose random numbers
- `mnist.py`, `nist.py`, `cifar.py`, `image_folder.py`: data sets; `idx.py`, `plain_pickle.py`, `archives.py`, `images.py`,
  `downloads.py`: their files; `grids.py`: many images as one, to look at
- `catalogue.py`, `arrays.py`: `open_dataset`, which the command line uses; `divided_folder.py`: what is set aside
- `transforms/`: what happens to an image on its way to a batch: crops, flips, colours, rotations, normalising

Importing this imports neither Pillow nor Pooch; what needs them does so when it is used.
"""

from . import transforms
from .arrays import ImageArrayDataset
from .catalogue import DATASET_NAMES, DatasetPair, dataset_name, open_dataset
from .cifar import CIFAR10, CIFAR100
from .collate import default_collate, default_convert
from .dataset import ConcatDataset, Dataset, IterableDataset, Subset, TensorDataset, random_split
from .downloads import datasets_folder
from .errors import DatasetError, DatasetNotFoundError, DownloadError, IDXFormatError, ImageReadError
from .grids import make_grid, save_image
from .idx import read_idx
from .image_folder import ImageFiles, ImageFolder
from .images import decode_image, open_image, pil_loader, read_grey, read_image, to_grey
from .loader import DataLoader
from .mnist import KMNIST, MNIST, FashionMNIST, MNIST10k
from .nist import EMNIST, QMNIST
from .randomness import sample_generator
from .sampler import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from .workers import WorkerInfo, get_worker_info

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "DATASET_NAMES",
    "EMNIST",
    "KMNIST",
    "MNIST",
    "QMNIST",
    "BatchSampler",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "DatasetError",
    "DatasetNotFoundError",
    "DatasetPair",
    "DownloadError",
    "FashionMNIST",
    "IDXFormatError",
    "ImageArrayDataset",
    "ImageFiles",
    "ImageFolder",
    "ImageReadError",
    "IterableDataset",
    "MNIST10k",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "WeightedRandomSampler",
    "WorkerInfo",
    "dataset_name",
    "datasets_folder",
    "decode_image",
    "default_collate",
    "default_convert",
    "get_worker_info",
    "make_grid",
    "open_dataset",
    "open_image",
    "pil_loader",
    "random_split",
    "read_grey",
    "read_idx",
    "read_image",
    "sample_generator",
    "save_image",
    "to_grey",
    "transforms",
]
