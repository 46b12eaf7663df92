"""torchvision.datasets' place for the data sets of :mod:`minicnn.data`."""

from .data import CIFAR10, CIFAR100, EMNIST, KMNIST, MNIST, QMNIST, FashionMNIST, ImageFolder

__all__ = ["CIFAR10", "CIFAR100", "EMNIST", "KMNIST", "MNIST", "QMNIST", "FashionMNIST", "ImageFolder"]
