"""What the experiments share: images and how they are drawn, training and testing, results that are kept row by row."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import minicnn as mc
from minicnn import nn, optim
from minicnn.data import DataLoader, FashionMNIST, ImageArrayDataset, MNIST10k, transforms
from minicnn.data.arrays import pixel_statistics
from minicnn.nn import functional as F

from ..machine import machine, today, versions

HELD_OUT = 5_000  # training images at the end that settings are chosen on; nobody is trained on them
RESULTS = Path(__file__).parents[1] / "results"


@dataclass(frozen=True)
class Images:
    """Grey images (n, 28, 28) uint8 and their labels (n,)."""

    pixels: np.ndarray
    labels: np.ndarray

    def __getitem__(self, where: Any) -> Images:
        return Images(self.pixels[where], self.labels[where])

    def __len__(self) -> int:
        return len(self.labels)

    def of_classes(self, classes: Sequence[int]) -> Images:
        """Those of some classes, labelled 0, 1, 2 in the order in which these are given."""
        part = self[np.isin(self.labels, classes)]
        return Images(part.pixels, np.array([list(classes).index(label) for label in part.labels], np.int64))

    def shots(self, per_class: int, seed: int) -> Images:
        """``per_class`` images of each class, drawn with ``seed``: of one seed, more images begin with the fewer ones."""
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(self))
        chosen = [order[self.labels[order] == label][:per_class] for label in np.unique(self.labels)]
        short = min(map(len, chosen))
        if short < per_class:
            raise ValueError(f"per_class: asked for {per_class} images of each class, one has {short}")
        return self[np.concatenate(chosen)]

    def loader(
        self, batch_size: int, mean: float, std: float, augment: Any = None, shuffle: bool = False
    ) -> DataLoader:
        """Batches of (k, 1, 28, 28) float32, normalised, and labels."""
        data = ImageArrayDataset(self.pixels, self.labels, augment, mean=mean, std=std)
        return DataLoader(data, batch_size=batch_size, shuffle=shuffle)


def open_images(root: str | None, quick: bool) -> dict[str, Images]:
    """The parts ``train``, ``held out`` and ``test`` of Fashion-MNIST; of the package's digits, for a quick run."""
    parts = [MNIST10k(train) if quick else FashionMNIST(root, train) for train in (True, False)]
    train, test = (Images(part.data.numpy(), part.targets.numpy()) for part in parts)
    held_out = HELD_OUT if not quick else 1_000
    return {"train": train[:-held_out], "held out": train[-held_out:], "test": test}


AUGMENTATION = transforms.Compose([transforms.RandomCrop(28, padding=2), transforms.RandomHorizontalFlip()])


def enlarged(grey: mc.Tensor, size: int) -> mc.Tensor:
    """(n, 1, 28, 28) -> (n, 3, size, size), for networks that want photographs: the three colours are the same."""
    return F.interpolate(grey, size=size, mode="bilinear", align_corners=False).expand(-1, 3, -1, -1)


@dataclass(frozen=True)
class Recipe:
    """How something is trained: AdamW under one cycle of the learning rate, for so many epochs."""

    epochs: int
    lr: float
    batch_size: int = 25
    weight_decay: float = 0.01
    augment: bool = True


def train(
    network: Callable[[mc.Tensor], mc.Tensor],
    groups: Any,
    batches: Iterable[Any],
    recipe: Recipe,
    prepare: Callable[[mc.Tensor], mc.Tensor],
) -> dict[str, float]:
    """Train, and say how the last epoch went: its mean loss and the share of its images that were classified rightly.

    groups : parameters, or groups of them whose rates are relative to ``recipe.lr``.
    """
    optimizer = optim.AdamW(groups, lr=recipe.lr, weight_decay=recipe.weight_decay)
    rates = [group["lr"] for group in optimizer.param_groups]
    steps = recipe.epochs * sum(1 for _ in batches)
    schedule = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=rates, total_steps=steps)
    for _ in range(recipe.epochs):
        losses, right, count = 0.0, 0, 0
        for x, y in batches:
            logits = network(prepare(x))
            loss = F.cross_entropy(logits, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses += loss.item() * len(y)
            right += int((logits.argmax(1) == y).sum().item())
            count += len(y)
    return {"train_loss": round(losses / count, 4), "train_accuracy": right / count}


def accuracy(
    model: nn.Module, batches: Iterable[Any], prepare: Callable[[mc.Tensor], mc.Tensor] = lambda x: x
) -> float:
    """The share of images that are classified rightly, in evaluation mode."""
    model.eval()
    network = mc.compile(model)
    right = count = 0
    with mc.no_grad():
        for x, y in batches:
            right += int((network(prepare(x)).argmax(1) == y).sum().item())
            count += len(y)
    return right / count


# ---- results


class Results:
    """Rows, one a trained network, in a JSON file that is written after each; a second run skips what is there.

    settings : what all rows have in common: which images are tested on, and how large they are.

    Raises
    ------
    SystemExit : the file is of a run with other settings.
    """

    KEY = ("method", "per_class", "seed")

    def __init__(self, path: Path | None, experiment: str, settings: dict[str, Any]):
        self.path = path
        self.document = {"experiment": experiment, "date": today(), "machine": machine(), "versions": versions()}
        self.document |= {"settings": json.loads(json.dumps(settings)), "rows": []}
        if path is not None and path.exists():
            old = json.loads(path.read_text())
            if old["settings"] != self.document["settings"]:
                raise SystemExit(
                    f"{path}: holds results of other settings; name another file with --json, or remove it"
                )
            self.document["rows"] = old["rows"]

    @property
    def rows(self) -> list[dict[str, Any]]:
        return self.document["rows"]

    def row(self, key: tuple[str, int, int], recipe: Recipe) -> dict[str, Any] | None:
        """What is known of a network, if it was trained by this recipe."""
        known = (row for row in self.rows if tuple(row[name] for name in self.KEY) == key)
        return next((row for row in known if row["recipe"] == asdict(recipe)), None)

    def measure(
        self, key: tuple[str, int, int], recipe: Recipe, work: Callable[[], dict[str, Any]], console: Console
    ) -> None:
        """Do the work and keep what it says, unless it was done before."""
        if self.row(key, recipe):
            return
        mc.manual_seed(key[2])
        wall, cpu = time.perf_counter(), time.process_time()
        row = dict(zip(self.KEY, key, strict=True)) | {"recipe": asdict(recipe)} | work()
        row |= {"seconds": round(time.perf_counter() - wall, 1), "cpu_seconds": round(time.process_time() - cpu, 1)}
        self.rows[:] = [old for old in self.rows if tuple(old[name] for name in self.KEY) != key] + [row]
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(json.dumps(self.document, indent=1) + "\n")
        told = f"{row['accuracy']:6.1%} (training {row['train_accuracy']:.1%}), {row['cpu_seconds']:.0f} s"
        console.print(f"seed {key[2]}, {key[1]:3d} a class, {key[0]}: {told}")

    def cells(self, method: str, per_class: int) -> str:
        """Mean and standard deviation over the seeds, in percent."""
        found = [100 * r["accuracy"] for r in self.rows if (r["method"], r["per_class"]) == (method, per_class)]
        if not found:
            return ""
        return f"{np.mean(found):.1f} ± {np.std(found, ddof=1):.1f}" if len(found) > 1 else f"{found[0]:.1f}"

    def lines(self) -> tuple[list[str], list[list[str]]]:
        """The table's header, and a line a method, in the order in which they were first measured."""
        sizes = sorted({row["per_class"] for row in self.rows})
        methods = dict.fromkeys(row["method"] for row in sorted(self.rows, key=lambda row: row["seed"]))
        lines = [[method, *(self.cells(method, size) for size in sizes)] for method in methods]
        return ["images a class", *map(str, sizes)], lines

    def show(self, console: Console) -> None:
        header, lines = self.lines()
        seeds = len({row["seed"] for row in self.rows})
        title = f"{self.document['experiment']}: test accuracy in %, mean ± deviation of {seeds} seeds"
        table = Table(title=title, title_justify="left", width=max(len(title), 90))
        for number, name in enumerate(header):
            table.add_column(name, justify="right" if number else "left")
        for line in lines:
            table.add_row(*line)
        console.print(table)

    def markdown(self) -> str:
        header, lines = self.lines()
        return "\n".join(f"| {' | '.join(line)} |" for line in (header, ["---"] * len(header), *lines))


def parser(name: str, description: str | None, sizes: Sequence[int]) -> argparse.ArgumentParser:
    """The options that both have."""
    made = argparse.ArgumentParser(
        prog=f"python -m benchmarks.transfer.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument(
        "--data-root", metavar="DIR", help="where Fashion-MNIST's files are; else the cache, then the system"
    )
    made.add_argument("--seeds", type=int, default=5, help="how often each network is trained: draw and initialisation")
    made.add_argument("--sizes", type=int, nargs="+", default=list(sizes), metavar="N", help="images a class")
    made.add_argument("--methods", nargs="+", default=[], metavar="TEXT", help="those whose names contain one of these")
    made.add_argument("--threads", type=int, default=1, help="processor threads")
    made.add_argument("--json", type=Path, metavar="FILE", help=f"results (benchmarks/results/transfer_{name}.json)")
    made.add_argument("--validate", action="store_true", help="test on held-out training images: to choose settings")
    made.add_argument("--quick", action="store_true", help="the package's digits, a few of them: shows that all works")
    return made


def finish(results: Results, console: Console) -> None:
    results.show(console)
    console.print(results.markdown(), markup=False, highlight=False)


def statistics(images: Images) -> tuple[float, float]:
    """Mean and deviation of the pixels in 0..1."""
    return pixel_statistics(images.pixels)
