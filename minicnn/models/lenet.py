"""LeNet-5, the network that read the cheques (LeCun, Bottou, Bengio, Haffner 1998, section II.B and figure 2).

As it is taught today: the pooling layers have no weights of their own, all of the second convolution's maps see all of
the first's, and the output layer is linear, to be trained with cross-entropy.
"""

from __future__ import annotations

from ..autograd import Tensor
from ..nn import AvgPool2d, Conv2d, Linear, Module
from ..nn import functional as F


class LeNet5(Module):
    """LeNet-5 with tanh and average pooling. The paper pads the 28 x 28 digits to 32 x 32; here ``padding=2`` does.

    Parameters
    ----------
    num_classes : outputs.

    Shapes: x (n, 1, 28, 28) float -> logits (n, num_classes).

    >>> import minicnn as mc
    >>> model = LeNet5()
    >>> sum(p.numel() for p in model.parameters())
    61706
    >>> model(mc.zeros(2, 1, 28, 28)).shape
    minicnn.Size([2, 10])
    """

    def __init__(self, num_classes: int = 10):
        super().__init__()
        self.c1 = Conv2d(1, 6, 5, padding=2)
        self.s2 = AvgPool2d(2)
        self.c3 = Conv2d(6, 16, 5)
        self.s4 = AvgPool2d(2)
        self.c5 = Linear(16 * 5 * 5, 120)  # in the paper a 5 x 5 convolution over a 5 x 5 map: the same thing
        self.f6 = Linear(120, 84)
        self.output = Linear(84, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.s2(F.tanh(self.c1(x)))  # (n, 1, 28, 28) -> (n, 6, 14, 14)
        x = self.s4(F.tanh(self.c3(x)))  # (n, 6, 14, 14) -> (n, 16, 5, 5)
        x = F.tanh(self.c5(x.flatten(1)))  # (n, 16, 5, 5) -> (n, 120)
        return self.output(F.tanh(self.f6(x)))  # (n, 120) -> (n, num_classes)


def lenet5(num_classes: int = 10) -> LeNet5:
    """Build a :class:`LeNet5`."""
    return LeNet5(num_classes)
