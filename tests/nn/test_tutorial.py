"""Code as it stands in PyTorch tutorials, with only its imports changed."""

from __future__ import annotations

import re

import pytest

TUTORIAL = '''
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.optim.lr_scheduler import StepLR


class CNN(nn.Module):
    def __init__(self):
        super(CNN, self).__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 32, kernel_size=3, padding=1),
            nn.BatchNorm2d(32),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=2, stride=2),
            nn.Conv2d(32, 64, kernel_size=3, padding=1),
            nn.BatchNorm2d(64),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=2, stride=2),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(64 * 7 * 7, 512),
            nn.ReLU(inplace=True),
            nn.Dropout(0.5),
            nn.Linear(512, 10),
        )

    def forward(self, x):
        return self.classifier(self.features(x))


class Net(nn.Module):
    """The older style: functions in forward, weights set by hand."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, 1)
        self.conv2 = nn.Conv2d(8, 16, 3, 1)
        self.fc1 = nn.Linear(16 * 12 * 12, 32)
        self.fc2 = nn.Linear(32, 10)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(m.bias)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        x = F.max_pool2d(x, 2)
        x = x.view(x.size(0), -1)
        x = F.dropout(F.relu(self.fc1(x)), p=0.25, training=self.training)
        return F.log_softmax(self.fc2(x), dim=1)


torch.manual_seed(0)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
images, labels = torch.randn(16, 1, 28, 28), torch.randint(0, 10, (16,))


def train(model, criterion, optimizer, scheduler, steps):
    model.train()
    losses = []
    for _ in range(steps):
        data, target = images.to(device), labels.to(device)
        optimizer.zero_grad()
        loss = criterion(model(data), target)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=5.0)
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        accuracy = (model(images.to(device)).argmax(dim=1) == labels).float().mean().item()
    return losses, accuracy


model = CNN().to(device)
count = sum(p.numel() for p in model.parameters() if p.requires_grad)
optimizer = optim.Adam(model.parameters(), lr=1e-3)
cnn = train(model, nn.CrossEntropyLoss(), optimizer, StepLR(optimizer, step_size=5, gamma=0.9), 10)

net = Net().to(device)
optimizer = optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
old = train(net, F.nll_loss, optimizer, optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=20), 20)
'''


@pytest.fixture(scope="module")
def ran():
    results = {}
    for library in ("minicnn", "torch"):
        source = TUTORIAL
        if library == "minicnn":
            source = source.replace("import torch\n", "import minicnn as torch\n")
            source = re.sub(r"^(import|from) torch\.", r"\1 minicnn.", source, flags=re.MULTILINE)
        namespace = {"__name__": "tutorial"}
        exec(compile(source, f"<tutorial with {library}>", "exec"), namespace)
        results[library] = namespace
    return results


def test_parameter_count_and_repr(ran):
    ours, theirs = ran["minicnn"], ran["torch"]
    assert ours["count"] == theirs["count"] == 1_630_282
    assert repr(ours["model"]) == repr(theirs["model"])
    assert repr(ours["net"]) == repr(theirs["net"])


@pytest.mark.parametrize("which", ["cnn", "old"])
def test_it_learns_its_sixteen_images(ran, which):
    losses, accuracy = ran["minicnn"][which]
    assert losses[-1] < losses[0] / 2
    assert accuracy > 0.8
