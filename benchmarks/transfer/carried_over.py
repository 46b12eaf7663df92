"""A ResNet-18 that PyTorch trained on one half of Fashion-MNIST's classes, fine-tuned here on the other half.

PyTorch trains on T-shirts, trousers, pullovers, dresses and coats and writes a ``.pth``. It is loaded here, shown to give
PyTorch's logits, and gets a new head for sandals, shirts, sneakers, bags and ankle boots, of which there are few images: the
head alone is trained, or everything; and beside that the same network from scratch, with the same images and epochs.

python -m benchmarks.transfer.carried_over                     half an hour on one core, goes on where it was stopped
python -m benchmarks.transfer.carried_over --checkpoint FILE   with a file that was trained before
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import minicnn as mc
from minicnn import models, nn, transfer
from minicnn.data import DataLoader

from .. import report
from . import common
from .common import AUGMENTATION, Images, Recipe, enlarged

PIXELS = 32
FIRST, SECOND = range(5), range(5, 10)
FROZEN, TUNED, SCRATCH = (
    "PyTorch's weights, frozen, and a linear head",
    "PyTorch's weights, all fine-tuned",
    "the same network from scratch",
)
EPOCHS = {10: 30, 50: 12, 200: 4}  # of fine-tuning and from scratch alike
LR = {FROZEN: 3e-3, TUNED: 5e-4, SCRATCH: 1e-3}
BATCH = 20


class Experiment:
    """One file of weights; three methods on the images of the second half."""

    def __init__(self, path: Path, test: Images, mean: float, std: float):
        self.path, self.test, self.mean, self.std = path, test, mean, std
        self.test_features: Any = None

    def carried_over(self) -> nn.Module:
        """The network with PyTorch's weights, five classes."""
        return models.resnet18(weights=self.path, num_classes=len(FIRST))

    def enlarge(self, grey: mc.Tensor) -> mc.Tensor:
        return enlarged(grey, PIXELS)

    def loader(self, images: Images, how: Recipe) -> Any:
        augment = AUGMENTATION if how.augment else None
        return images.loader(how.batch_size, self.mean, self.std, augment, shuffle=True)

    def compared(self, first: Images) -> dict[str, float]:
        """PyTorch's logits and ours for the same images of the first half."""
        from . import torch_resnet18

        model, right = self.carried_over().eval(), np.zeros(2, int)
        difference = largest = 0.0
        for x, y in first.loader(250, self.mean, self.std):
            x = self.enlarge(x)
            theirs = torch_resnet18.logits(self.path, x.numpy())
            with mc.no_grad():
                ours = model(x).numpy()
            difference = max(difference, float(np.abs(ours - theirs).max()))
            largest = max(largest, float(np.abs(theirs).max()))
            right += [int((logits.argmax(1) == y.numpy()).sum()) for logits in (theirs, ours)]
        told = {"images": len(first), "largest_logit": largest, "largest_difference": difference}
        return told | {"accuracy_pytorch": right[0] / len(first), "accuracy_minicnn": right[1] / len(first)}

    def features(self, images: Images) -> Any:
        batches = ((self.enlarge(x), y) for x, y in images.loader(50, self.mean, self.std))
        return transfer.cached_features(self.carried_over(), batches)

    def frozen(self, images: Images, how: Recipe) -> dict[str, Any]:
        if self.test_features is None:
            self.test_features = self.features(self.test)
        head = nn.Linear(512, len(SECOND))
        batches = DataLoader(self.features(images), batch_size=how.batch_size, shuffle=True)
        told = common.train(head, head.parameters(), batches, how, lambda x: x)
        return told | {"accuracy": common.accuracy(head, DataLoader(self.test_features, batch_size=500))}

    def tuned(self, images: Images, how: Recipe) -> dict[str, Any]:
        return self.trained(transfer.replace_head(self.carried_over(), len(SECOND)), images, how)

    def scratch(self, images: Images, how: Recipe) -> dict[str, Any]:
        return self.trained(models.resnet18(num_classes=len(SECOND)), images, how)

    def trained(self, model: nn.Module, images: Images, how: Recipe) -> dict[str, Any]:
        told = common.train(mc.compile(model.train()), model.parameters(), self.loader(images, how), how, self.enlarge)
        return told | {"accuracy": common.accuracy(model, self.test.loader(250, self.mean, self.std), self.enlarge)}


def main(arguments: list[str] | None = None) -> common.Results:
    parser = common.parser("carried_over", __doc__, sizes=(10, 50, 200))
    parser.add_argument("--test-images", type=int, default=1000, help="of the five classes, as many of each")
    parser.add_argument("--checkpoint", type=Path, default=Path("runs/transfer/resnet18_first_half.pth"), metavar="FILE",
                        help="PyTorch's file; trained and written first if it is not there")  # fmt: skip
    parser.add_argument("--torch-images", type=int, default=10000, help="that PyTorch trains on")
    parser.add_argument("--torch-epochs", type=int, default=3)
    options = parser.parse_args(arguments)
    if options.quick:
        options.seeds, options.sizes, options.test_images = min(options.seeds, 1), [4], 50
        options.torch_images, options.torch_epochs = 50, 1
    mc.set_num_threads(options.threads)
    console = report.console()
    data = common.open_images(options.data_root, options.quick)
    path = options.json or (common.RESULTS / "transfer_carried_over.json" if not options.quick else None)
    settings = {"test": "held out" if options.validate else "test", "test_images": options.test_images}
    settings |= {"pixels": PIXELS}
    settings |= {"torch_images": options.torch_images, "torch_epochs": options.torch_epochs}
    results = common.Results(path, "carried_over", settings)

    first = data["train"].of_classes(FIRST)
    mean, std = common.statistics(first)
    if not options.checkpoint.exists():
        from . import torch_resnet18

        console.print(f"PyTorch trains on {options.torch_images} images of the first half ...")
        theirs = first.shots(options.torch_images // len(FIRST), seed=0)
        effort = {"epochs": options.torch_epochs, "threads": options.threads, "size": PIXELS}
        torch_resnet18.train_and_save(options.checkpoint, theirs.pixels, theirs.labels, mean=mean, std=std, **effort)
    test = {
        half: data[settings["test"]].of_classes(half).shots(options.test_images // 5, seed=0)
        for half in (FIRST, SECOND)
    }
    experiment = Experiment(options.checkpoint, test[SECOND], mean, std)
    results.document["carried_over"] = told = experiment.compared(test[FIRST])
    console.print(", ".join(f"{name} {value:.6g}" for name, value in told.items()))

    methods: dict[str, Callable[[Images, Recipe], dict[str, Any]]] = {
        FROZEN: experiment.frozen,
        TUNED: experiment.tuned,
        SCRATCH: experiment.scratch,
    }
    second = data["train"].of_classes(SECOND)
    for seed in range(options.seeds):
        for method, work in methods.items():
            if options.methods and not any(text in method for text in options.methods):
                continue
            for per_class in options.sizes:
                images, how = second.shots(per_class, seed), recipe(method, per_class, options.quick)
                results.measure((method, per_class, seed), how, partial(work, images, how), console)
    common.finish(results, console)
    return results


def recipe(method: str, per_class: int, quick: bool) -> Recipe:
    if method == FROZEN:
        return Recipe(100 if not quick else 10, LR[FROZEN], BATCH, augment=False)
    nearest = min(EPOCHS, key=lambda size: abs(size - per_class))
    return Recipe(EPOCHS[nearest] if not quick else 1, LR[method], BATCH)


if __name__ == "__main__":
    main()
