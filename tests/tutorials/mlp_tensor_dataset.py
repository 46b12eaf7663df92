"""An MLP on a TensorDataset: two interleaved spirals, a random split, SGD with momentum and a step schedule.

A genuine PyTorch script: ``test_tutorials.py`` runs it under PyTorch as it is, and under minicnn with its imports
exchanged.
"""

import argparse
import math

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split


def make_spirals(n):
    """n points of two spirals with a little noise: x (n, 2), y (n,) of 0 and 1."""
    label = torch.arange(n) % 2
    radius = 0.2 + 0.8 * torch.rand(n)
    angle = 3 * math.pi * radius + math.pi * label.float()
    direction = torch.tensor([[math.cos(a), math.sin(a)] for a in angle.tolist()])
    x = radius.unsqueeze(1) * direction + 0.02 * torch.randn(n, 2)
    return x, label


class MLP(nn.Module):
    def __init__(self, hidden=64):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(2, hidden), nn.Linear(hidden, hidden)])
        self.head = nn.Linear(hidden, 2)
        for layer in self.layers:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)

    def forward(self, x):
        for layer in self.layers:
            x = torch.relu(layer(x))
        return self.head(x)


def run_epoch(model, loader, criterion, optimizer=None):
    """Train on the loader where there is an optimizer, evaluate otherwise. Mean loss and accuracy."""
    total_loss, total_correct, total = 0.0, 0, 0
    model.train(optimizer is not None)
    with torch.set_grad_enabled(optimizer is not None):
        for inputs, labels in loader:
            outputs = model(inputs)
            loss = criterion(outputs, labels)
            if optimizer is not None:
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), max_norm=5.0)
                optimizer.step()
            _, predicted = torch.max(outputs, 1)
            total_loss += loss.item() * inputs.size(0)
            total_correct += (predicted == labels).sum().item()
            total += labels.size(0)
    return total_loss / total, total_correct / total


def main(argv=None):
    parser = argparse.ArgumentParser(description="Two spirals")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--points", type=int, default=1000)
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)

    torch.manual_seed(args.seed)
    dataset = TensorDataset(*make_spirals(args.points))
    n_test = len(dataset) // 5
    train_set, test_set = random_split(
        dataset, [len(dataset) - n_test, n_test], generator=torch.Generator().manual_seed(42)
    )
    train_loader = DataLoader(train_set, batch_size=32, shuffle=True, drop_last=True)
    test_loader = DataLoader(test_set, batch_size=100)

    model = MLP()
    criterion = nn.CrossEntropyLoss(label_smoothing=0.01)
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9, nesterov=True, weight_decay=1e-4)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=max(1, args.epochs // 2), gamma=0.1)
    losses = []
    accuracy = 0.0
    best = None
    for epoch in range(args.epochs):
        loss, _ = run_epoch(model, train_loader, criterion, optimizer)
        test_loss, accuracy = run_epoch(model, test_loader, criterion)
        scheduler.step()
        losses.append(loss)
        if best is None or test_loss < best[0]:
            best = (test_loss, {name: value.clone() for name, value in model.state_dict().items()})
        if epoch % 10 == 0 or epoch == args.epochs - 1:
            rate = scheduler.get_last_lr()[0]
            print(f"epoch {epoch:3d}  loss {loss:.4f}  test {test_loss:.4f}  accuracy {accuracy:.3f}  lr {rate:g}")
    model.load_state_dict(best[1])
    test_loss, accuracy = run_epoch(model, test_loader, criterion)
    print(f"best epoch: test loss {test_loss:.4f}, accuracy {accuracy:.3f}")
    return losses, accuracy


if __name__ == "__main__":
    main()
