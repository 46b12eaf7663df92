"""Layers: ``import minicnn.nn as nn``, with torch's names.

Start at ``module.py``. A layer holds parameters and calls ``F``, ``functional.py``, which leads on to ``minicnn/ops``.
"""

from minicnn.nn import functional, init, utils
from minicnn.nn.activation import Dropout, LogSoftmax, ReLU, Sigmoid, Softmax, Tanh
from minicnn.nn.attention import MultiheadAttention
from minicnn.nn.batchnorm import BatchNorm1d, BatchNorm2d
from minicnn.nn.container import ModuleDict, ModuleList, Sequential
from minicnn.nn.conv import Conv2d
from minicnn.nn.linear import Flatten, Identity, Linear
from minicnn.nn.loss import CrossEntropyLoss, MSELoss, NLLLoss
from minicnn.nn.module import Module
from minicnn.nn.padding import (
    CircularPad1d,
    CircularPad2d,
    CircularPad3d,
    ConstantPad1d,
    ConstantPad2d,
    ConstantPad3d,
    ReflectionPad1d,
    ReflectionPad2d,
    ReflectionPad3d,
    ReplicationPad1d,
    ReplicationPad2d,
    ReplicationPad3d,
    ZeroPad1d,
    ZeroPad2d,
    ZeroPad3d,
)
from minicnn.nn.parameter import Buffer, Parameter
from minicnn.nn.pooling import AvgPool2d, MaxPool2d
from minicnn.nn.rnn import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNBase, RNNCell

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "Buffer",
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "Conv2d",
    "CrossEntropyLoss",
    "Dropout",
    "Flatten",
    "GRUCell",
    "Identity",
    "LSTMCell",
    "Linear",
    "LogSoftmax",
    "MSELoss",
    "MaxPool2d",
    "Module",
    "ModuleDict",
    "ModuleList",
    "MultiheadAttention",
    "NLLLoss",
    "Parameter",
    "RNNBase",
    "RNNCell",
    "ReLU",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
    "functional",
    "init",
    "utils",
]
