"""Train a small CNN on handwritten digits, in the way of every PyTorch tutorial.

A genuine PyTorch script: ``test_tutorials.py`` runs it under PyTorch as it is, and under minicnn with its imports
exchanged.
"""

import argparse
import gzip
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.utils.data import DataLoader, Dataset


class Digits(Dataset):
    """The digits of a folder with MNIST's four gzipped files."""

    def __init__(self, root, train):
        name = "train" if train else "t10k"
        with gzip.open(Path(root) / f"{name}-images-idx3-ubyte.gz") as file:
            pixels = np.frombuffer(file.read(), np.uint8, offset=16)
        with gzip.open(Path(root) / f"{name}-labels-idx1-ubyte.gz") as file:
            labels = np.frombuffer(file.read(), np.uint8, offset=8)
        images = torch.from_numpy(pixels.reshape(-1, 1, 28, 28).astype(np.float32)) / 255
        self.images = (images - 0.1307) / 0.3081
        self.labels = torch.from_numpy(labels.astype(np.int64))

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return self.images[index], self.labels[index]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.MaxPool2d(2, 2),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.MaxPool2d(2, 2),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(64 * 7 * 7, 512),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(512, 10),
        )

    def forward(self, x):
        x = self.features(x)
        return self.classifier(x)


def train(args, model, device, train_loader, optimizer, scheduler, epoch):
    model.train()
    losses = []
    for batch_idx, (data, target) in enumerate(train_loader):
        data, target = data.to(device), target.to(device)
        optimizer.zero_grad()
        output = model(data)
        loss = F.cross_entropy(output, target)
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
        if batch_idx % args.log_interval == 0:
            done = batch_idx * len(data)
            print(f"Train Epoch: {epoch} [{done}/{len(train_loader.dataset)}]\tLoss: {loss.item():.6f}")
        if args.max_steps and len(losses) >= args.max_steps:
            break
    return losses


def test(model, device, test_loader):
    model.eval()
    test_loss = 0.0
    correct = 0
    with torch.no_grad():
        for data, target in test_loader:
            data, target = data.to(device), target.to(device)
            output = model(data)
            test_loss += F.cross_entropy(output, target, reduction="sum").item()
            pred = output.argmax(dim=1, keepdim=True)
            correct += pred.eq(target.view_as(pred)).sum().item()
    size = len(test_loader.dataset)
    print(f"Test set: Average loss: {test_loss / size:.4f}, Accuracy: {correct}/{size} ({100.0 * correct / size:.1f}%)")
    return correct / size


def main(argv=None):
    parser = argparse.ArgumentParser(description="MNIST example")
    parser.add_argument("--data", required=True, help="folder with MNIST's four .gz files")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log-interval", type=int, default=10)
    parser.add_argument("--max-steps", type=int, default=0, help="stop an epoch after so many steps; 0: do not")
    args = parser.parse_args(argv)

    torch.manual_seed(args.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    train_loader = DataLoader(Digits(args.data, train=True), batch_size=args.batch_size, shuffle=True)
    test_loader = DataLoader(Digits(args.data, train=False), batch_size=500)

    model = Net().to(device)
    print(f"{sum(p.numel() for p in model.parameters() if p.requires_grad):,} parameters")
    optimizer = optim.Adam(model.parameters(), lr=args.lr)
    steps_per_epoch = min(len(train_loader), args.max_steps or len(train_loader))
    scheduler = optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=args.lr, epochs=args.epochs, steps_per_epoch=steps_per_epoch
    )
    losses = []
    accuracy = 0.0
    for epoch in range(1, args.epochs + 1):
        losses += train(args, model, device, train_loader, optimizer, scheduler, epoch)
        accuracy = test(model, device, test_loader)
    return losses, accuracy


if __name__ == "__main__":
    main()
