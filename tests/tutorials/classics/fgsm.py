"""The fast gradient sign method: small changes of an image that mislead a classifier."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 3, 1)
        self.conv2 = nn.Conv2d(4, 6, 3, 1)
        self.fc1 = nn.Linear(96, 12)
        self.fc2 = nn.Linear(12, 4)

    def forward(self, x):
        x = F.leaky_relu(self.conv1(x))
        x = F.leaky_relu(self.conv2(x))
        x = F.avg_pool2d(x, 2)
        x = torch.flatten(x, 1)
        x = F.leaky_relu(self.fc1(x))
        return F.log_softmax(self.fc2(x), dim=1)


def make_model():
    return Net()


def fgsm_attack(image, epsilon, data_grad):
    sign_data_grad = data_grad.sign()
    perturbed_image = image + epsilon * sign_data_grad
    return torch.clamp(perturbed_image, 0, 1)


def train(model):
    rng = np.random.default_rng(0)
    optimizer = torch.optim.NAdam(model.parameters(), lr=0.01)
    record = []
    for _ in range(3):
        data, target = torch.tensor(rng.uniform(size=(6, 1, 12, 12))), torch.tensor(rng.integers(0, 4, 6))
        optimizer.zero_grad()
        F.nll_loss(model(data), target).backward()
        optimizer.step()
    model.eval()
    for epsilon in (0.0, 0.1, 0.3):
        data.requires_grad = True
        output = model(data)
        loss = F.nll_loss(output, target)
        model.zero_grad()
        (data_grad,) = torch.autograd.grad(loss, data)
        perturbed = fgsm_attack(data, epsilon, data_grad)
        output = model(perturbed)
        final_pred = output.max(1, keepdim=True)[1]
        record += [F.nll_loss(output, target).item(), final_pred.eq(target.view_as(final_pred)).sum().item()]
    return record
