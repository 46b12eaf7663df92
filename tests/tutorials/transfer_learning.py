"""A pretrained network on a folder of one's own images, the way PyTorch programs are written: torch and torchvision."""

import argparse
import os
import tempfile

import torch
import torch.backends.cudnn as cudnn
import torchvision
from torch import nn, optim
from torch.optim import lr_scheduler
from torchvision import datasets, models, transforms


def loaders(folder, size):
    changes = {
        "train": transforms.Compose(
            [
                transforms.RandomResizedCrop(size, scale=(0.6, 1.0)),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
            ]
        ),
        "val": transforms.Compose(
            [
                transforms.Resize(size + 4),
                transforms.CenterCrop(size),
                transforms.ToTensor(),
                transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
            ]
        ),
    }
    sets = {phase: datasets.ImageFolder(os.path.join(folder, phase), changes[phase]) for phase in changes}
    return {
        phase: torch.utils.data.DataLoader(sets[phase], batch_size=8, shuffle=phase == "train", num_workers=2)
        for phase in sets
    }


def train(model, criterion, optimizer, scheduler, data, device, epochs):
    losses, best = [], 0.0
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "best.pt")
        torch.save({"epoch": -1, "model_state_dict": model.state_dict()}, path)
        for epoch in range(epochs):
            for phase in ("train", "val"):
                model.train() if phase == "train" else model.eval()
                total, right = 0.0, 0
                for inputs, labels in data[phase]:
                    inputs, labels = inputs.to(device), labels.to(device)
                    optimizer.zero_grad()
                    with torch.set_grad_enabled(phase == "train"):
                        outputs = model(inputs)
                        _, predicted = torch.max(outputs, 1)
                        loss = criterion(outputs, labels)
                        if phase == "train":
                            loss.backward()
                            optimizer.step()
                            losses.append(loss.item())
                    total += loss.item() * inputs.size(0)
                    right += torch.sum(predicted == labels.data)
                accuracy = right.double() / len(data[phase].dataset)
                if phase == "train":
                    scheduler.step()
                elif accuracy > best:
                    best = accuracy.item()
                    saved = {"epoch": epoch, "loss": loss, "model_state_dict": model.state_dict(), "best": best}
                    torch.save({**saved, "optimizer_state_dict": optimizer.state_dict()}, path)
                print(f"{phase} loss {total / len(data[phase].dataset):.4f} accuracy {accuracy:.4f}")
        model.load_state_dict(torch.load(path, weights_only=False)["model_state_dict"])
    return losses, best


def main(arguments):
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--weights")
    args = parser.parse_args(arguments)
    torch.manual_seed(0)
    torch.cuda.manual_seed_all(0)
    cudnn.benchmark = True
    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    data = loaders(args.folder, size=32)
    inputs, _ = next(iter(data["train"]))
    assert torchvision.utils.make_grid(inputs).shape[0] == 3

    model = models.resnet18(weights=None)
    model.load_state_dict(torch.load(args.weights))
    for param in model.parameters():
        param.requires_grad = False
    for name, param in model.named_parameters():
        if "layer4" in name:
            param.requires_grad = True
    model.fc = nn.Linear(model.fc.in_features, 2)
    model = model.to(device)
    optimizer = optim.SGD(
        [{"params": model.layer4.parameters(), "lr": 1e-3}, {"params": model.fc.parameters()}], lr=1e-2, momentum=0.9
    )
    scheduler = lr_scheduler.StepLR(optimizer, step_size=7, gamma=0.1)
    return train(model, nn.CrossEntropyLoss(), optimizer, scheduler, data, device, epochs=6)
