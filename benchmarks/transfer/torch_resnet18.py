"""ResNet-18 in plain PyTorch, with torchvision's names, and a training in PyTorch that ends in a ``.pth`` file.

Nothing of minicnn is in here: this is the other framework's side of ``carried_over.py``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


class BasicBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + shortcut)


class ResNet18(nn.Module):
    """(n, 3, h, w) -> (n, num_classes); the state dict's keys and shapes are those of torchvision's resnet18."""

    def __init__(self, num_classes: int):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(BasicBlock(64, 64, 1), BasicBlock(64, 64, 1))
        self.layer2 = nn.Sequential(BasicBlock(64, 128, 2), BasicBlock(128, 128, 1))
        self.layer3 = nn.Sequential(BasicBlock(128, 256, 2), BasicBlock(256, 256, 1))
        self.layer4 = nn.Sequential(BasicBlock(256, 512, 2), BasicBlock(512, 512, 1))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(512, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


def enlarged(grey: torch.Tensor, size: int) -> torch.Tensor:
    """(n, 1, 28, 28) -> (n, 3, size, size)."""
    return F.interpolate(grey, size=size, mode="bilinear", align_corners=False).expand(-1, 3, -1, -1)


def train_and_save(
    path: Path, pixels: np.ndarray, labels: np.ndarray, *, mean: float, std: float, size: int, epochs: int, threads: int
) -> None:
    """Train a ResNet-18 on grey images (n, 28, 28) uint8 and save its state dict, as PyTorch users do."""
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    grey = (torch.from_numpy(pixels)[:, None].float() / 255 - mean) / std
    data = torch.utils.data.TensorDataset(grey, torch.from_numpy(labels))
    loader = torch.utils.data.DataLoader(data, batch_size=50, shuffle=True, drop_last=len(data) >= 50)
    model = ResNet18(int(labels.max()) + 1).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=epochs * len(loader))
    model.train()
    for _ in range(epochs):
        for x, y in loader:
            flipped = torch.where(torch.rand(len(x), 1, 1, 1) < 0.5, x.flip(3), x)
            loss = F.cross_entropy(model(enlarged(flipped, size).contiguous(memory_format=torch.channels_last)), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), path)


def logits(path: Path, x: np.ndarray) -> np.ndarray:
    """What PyTorch computes with the file's weights: x (n, 3, size, size) float32 -> (n, classes)."""
    state = torch.load(path, weights_only=True)
    model = ResNet18(len(state["fc.bias"]))
    model.load_state_dict(state)
    with torch.inference_mode():
        return model.eval()(torch.tensor(x)).numpy()
