"""Three-dimensional convolutions on small volumes."""

import numpy as np
import torch
import torch.nn as nn


class Net3d(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv3d(1, 4, kernel_size=3, padding=1),
            nn.BatchNorm3d(4),
            nn.ELU(),
            nn.MaxPool3d(2),
            nn.Conv3d(4, 8, kernel_size=3, padding=1, groups=2),
            nn.GroupNorm(2, 8),
            nn.ReLU(),
            nn.AdaptiveAvgPool3d(1),
        )
        self.classifier = nn.Linear(8, 3)

    def forward(self, x):
        return self.classifier(torch.flatten(self.features(x), 1))


def make_model():
    return Net3d()


def train(model):
    rng = np.random.default_rng(0)
    criterion = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 0.5]))
    optimizer = torch.optim.Adagrad(model.parameters(), lr=0.05)
    losses = []
    for _ in range(4):
        volumes, labels = torch.tensor(rng.standard_normal((3, 1, 6, 7, 8))), torch.tensor(rng.integers(0, 3, 3))
        optimizer.zero_grad()
        loss = criterion(model(volumes), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
