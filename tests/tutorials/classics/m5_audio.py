"""A one-dimensional convolutional network on raw sound: which of four tones is it?"""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim


class M5(nn.Module):
    def __init__(self, n_input=1, n_output=4, stride=8, n_channel=8):
        super().__init__()
        self.conv1 = nn.Conv1d(n_input, n_channel, kernel_size=40, stride=stride)
        self.bn1 = nn.BatchNorm1d(n_channel)
        self.pool1 = nn.MaxPool1d(4)
        self.conv2 = nn.Conv1d(n_channel, 2 * n_channel, kernel_size=3)
        self.bn2 = nn.BatchNorm1d(2 * n_channel)
        self.pool2 = nn.MaxPool1d(4)
        self.fc1 = nn.Linear(2 * n_channel, n_output)

    def forward(self, x):
        x = self.pool1(F.relu(self.bn1(self.conv1(x))))
        x = self.pool2(F.relu(self.bn2(self.conv2(x))))
        x = F.avg_pool1d(x, x.shape[-1])
        x = x.permute(0, 2, 1)
        return F.log_softmax(self.fc1(x), dim=2)


def make_model():
    return M5()


def waves(rng, n=6, length=800):
    labels = rng.integers(0, 4, n)
    time = np.arange(length) / 200
    sound = np.sin(2 * np.pi * np.outer(5.0 * 2**labels, time)) + 0.1 * rng.standard_normal((n, length))
    return torch.tensor(sound).unsqueeze(1), torch.tensor(labels)


def train(model):
    rng = np.random.default_rng(0)
    optimizer = optim.Adam(model.parameters(), lr=0.01, weight_decay=0.0001)
    scheduler = optim.lr_scheduler.StepLR(optimizer, step_size=3, gamma=0.1)
    model.train()
    losses = []
    for _ in range(6):
        data, target = waves(rng)
        output = model(data)
        loss = F.nll_loss(output.squeeze(), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        pred = output.argmax(dim=-1)
        losses += [loss.item(), pred.squeeze().eq(target).sum().item()]
    return losses
