"""Training that is interrupted, stored in a file, and goes on as if nothing had happened."""

import io

import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3)
        self.bn = nn.BatchNorm2d(3)
        self.fc = nn.Linear(3 * 4 * 4, 2)

    def forward(self, x):
        return self.fc(torch.relu(self.bn(self.conv(x))).flatten(1))


def make_model():
    return Net()


def build(model):
    optimizer = optim.Adam(model.parameters(), lr=0.01, amsgrad=True)
    return optimizer, optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10)


def epochs(model, optimizer, scheduler, first, last):
    for epoch in range(first, last):
        rng = np.random.default_rng(epoch)
        x, y = torch.tensor(rng.standard_normal((4, 1, 6, 6))), torch.tensor(rng.integers(0, 2, 4))
        optimizer.zero_grad()
        loss = nn.CrossEntropyLoss()(model(x), y)
        loss.backward()
        optimizer.step()
        scheduler.step()
        yield loss.item()


def train(model):
    optimizer, scheduler = build(model)
    losses = list(epochs(model, optimizer, scheduler, 0, 3))
    file = io.BytesIO()
    torch.save(
        {
            "epoch": 3,
            "model_state_dict": model.state_dict(),
            "optimizer_state_dict": optimizer.state_dict(),
            "scheduler_state_dict": scheduler.state_dict(),
            "loss": losses[-1],
        },
        file,
    )
    without = list(epochs(model, optimizer, scheduler, 3, 7))

    file.seek(0)
    checkpoint = torch.load(file, weights_only=True)
    resumed = make_model()
    resumed.load_state_dict(checkpoint["model_state_dict"])
    optimizer, scheduler = build(resumed)
    optimizer.load_state_dict(checkpoint["optimizer_state_dict"])
    scheduler.load_state_dict(checkpoint["scheduler_state_dict"])
    resumed.train()
    losses += list(epochs(resumed, optimizer, scheduler, checkpoint["epoch"], 7))
    assert losses[3:] == without
    return losses
