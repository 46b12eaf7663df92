"""Few images a class of Fashion-MNIST, and a network that has seen a million photographs of other things.

EfficientNet-Lite0 with its ImageNet weights, frozen under a new linear head (on its last features, or on those of layers in
the middle) and fine-tuned as a whole, against the same network from scratch, and against a small convolutional network from
scratch. Images are enlarged to 96 pixels for the large network; the small one sees them as they are.

python -m benchmarks.transfer.few_shot                            about an hour on one core, goes on where it was stopped
python -m benchmarks.transfer.few_shot --data-root DIR --seeds 2 --sizes 5 10
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import minicnn as mc
from minicnn import models, nn, transfer
from minicnn.data import DataLoader

from .. import report
from . import common
from .common import AUGMENTATION, Images, Recipe, enlarged

SIZE = 96
WEIGHTS = models.EfficientNet_Lite0_Weights.DEFAULT
MEAN, STD = (WEIGHTS.transforms().mean[0], WEIGHTS.transforms().std[0])  # the same for the three colours
FROZEN, MIDDLE, TUNED, SCRATCH, SMALL = (
    "ImageNet features, frozen, and a linear head",
    "ImageNet features of middle layers, frozen, and a linear head",
    "ImageNet weights, all fine-tuned",
    "the same network from scratch",
    "a small network from scratch",
)
# Epochs by images a class: fewer images need more passes. Rates and these were chosen on held-out images (--validate).
EPOCHS = {
    TUNED: {5: 12, 10: 8, 20: 6, 50: 4},
    SCRATCH: {5: 80, 10: 50, 20: 30, 50: 30},
    SMALL: {5: 100, 10: 80, 20: 60, 50: 40},
}
MIDDLE_LAYERS = (
    "_blocks.4",
    "_blocks.7",
    "_blocks.10",
    "_blocks.13",
)  # the ends of four stages: 40, 80, 112, 192 channels
LR = {FROZEN: 3e-3, MIDDLE: 3e-3, TUNED: 5e-4, SCRATCH: 3e-3, SMALL: 1e-3}
BATCH = 25


def recipe(method: str, per_class: int, quick: bool) -> Recipe:
    if method in (FROZEN, MIDDLE):
        return Recipe(100 if not quick else 10, LR[method], BATCH, weight_decay=4.0, augment=False)
    known = EPOCHS[method]
    nearest = min(known, key=lambda size: abs(size - per_class))
    return Recipe(known[nearest] if not quick else 1, LR[method], BATCH)


def averages_that_follow(model: nn.Module) -> nn.Module:
    """Batch norms whose running averages follow within tens of steps: the network's own 0.01 wants hundreds."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.1
    return model


class MiddleFeatures(nn.Module):
    """The averages over the pixels of what a network computes at some layers: (n, 3, h, w) -> (n, channels of all)."""

    def __init__(self, model: nn.Module, layers: Sequence[str]):
        super().__init__()
        self.extractor = transfer.FeatureExtractor(model, layers)

    def forward(self, x: mc.Tensor) -> mc.Tensor:
        return mc.cat([maps.mean((2, 3)) for maps in self.extractor(x).values()], 1)


class Experiment:
    """The methods on one set of test images."""

    def __init__(self, test: Images, pixels: int, quick: bool):
        self.pixels, self.quick = pixels, quick
        self.photographs = models.efficientnet_lite0(weights=WEIGHTS)
        self.test = test
        self.test_features: dict[str, Any] = {}

    def enlarge(self, grey: mc.Tensor) -> mc.Tensor:
        return enlarged(grey, self.pixels)

    def features(self, images: Images, method: str) -> Any:
        """What the head is trained on, once for each image: what goes into the photographs' own head, or middle layers."""
        batches = ((self.enlarge(x), y) for x, y in images.loader(50, MEAN, STD))
        if method == FROZEN:
            return transfer.cached_features(self.photographs, batches)
        return transfer.cached_features(nn.Sequential(MiddleFeatures(self.photographs, MIDDLE_LAYERS)), batches, "0")

    def frozen(self, method: str, images: Images, how: Recipe) -> dict[str, Any]:
        if method not in self.test_features:
            self.test_features[method] = self.features(self.test, method)
        features = self.features(images, method)
        channels = features.tensors[0].shape[1]
        # Layers differ in the size of their numbers: each feature is brought to mean 0 and variance 1 first.
        scale = nn.BatchNorm1d(channels, affine=False) if method == MIDDLE else nn.Identity()
        head = nn.Sequential(scale, nn.Linear(channels, 10))
        batches = DataLoader(features, batch_size=how.batch_size, shuffle=True)
        told = common.train(head, head.parameters(), batches, how, lambda x: x)
        return told | {"accuracy": common.accuracy(head, DataLoader(self.test_features[method], batch_size=500))}

    def tuned(self, images: Images, how: Recipe) -> dict[str, Any]:
        model = transfer.replace_head(models.efficientnet_lite0(weights=WEIGHTS), 10)
        groups = transfer.parameter_groups(averages_that_follow(model), how.lr, decay=0.8)
        return self.trained(model, groups, images, how)

    def scratch(self, images: Images, how: Recipe) -> dict[str, Any]:
        # Dropping whole blocks is for long training; so short, it only slows down.
        model = averages_that_follow(models.efficientnet_lite0(num_classes=10, stochastic_depth_prob=0.0))
        return self.trained(model, model.parameters(), images, how)

    def trained(self, model: nn.Module, groups: Any, images: Images, how: Recipe) -> dict[str, Any]:
        batches = images.loader(how.batch_size, MEAN, STD, AUGMENTATION if how.augment else None, shuffle=True)
        model.train()
        told = common.train(mc.compile(model), groups, batches, how, self.enlarge)
        return told | {"accuracy": common.accuracy(model, self.test.loader(50, MEAN, STD), self.enlarge)}

    def small(self, images: Images, how: Recipe) -> dict[str, Any]:
        model = models.mnist_cnn()
        mean, std = common.statistics(images)
        batches = images.loader(how.batch_size, mean, std, AUGMENTATION if how.augment else None, shuffle=True)
        told = common.train(mc.compile(model.train()), model.parameters(), batches, how, lambda x: x)
        return told | {"accuracy": common.accuracy(model, self.test.loader(500, mean, std))}


def main(arguments: list[str] | None = None) -> common.Results:
    parser = common.parser("few_shot", __doc__, sizes=(5, 10, 20, 50))
    parser.add_argument("--test-images", type=int, default=1000, help="as many of each class; 10000: all of them")
    options = parser.parse_args(arguments)
    if options.quick:
        options.seeds, options.sizes, options.test_images = min(options.seeds, 1), [2], 50
    mc.set_num_threads(options.threads)
    console = report.console()
    data = common.open_images(options.data_root, options.quick)
    path = options.json or (common.RESULTS / "transfer_few_shot.json" if not options.quick else None)
    settings = {"test": "held out" if options.validate else "test", "test_images": options.test_images}
    settings |= {"pixels": SIZE if not options.quick else 32}
    results = common.Results(path, "few_shot", settings)
    test = data[settings["test"]].shots(options.test_images // 10, seed=0)
    experiment = Experiment(test, settings["pixels"], options.quick)
    methods: dict[str, Callable[[Images, Recipe], dict[str, Any]]] = {
        FROZEN: partial(experiment.frozen, FROZEN),
        MIDDLE: partial(experiment.frozen, MIDDLE),
        SMALL: experiment.small,
        SCRATCH: experiment.scratch,
        TUNED: experiment.tuned,
    }
    for seed in range(options.seeds):
        for method, work in methods.items():
            if options.methods and not any(text in method for text in options.methods):
                continue
            for per_class in options.sizes:
                images, how = data["train"].shots(per_class, seed), recipe(method, per_class, options.quick)
                results.measure((method, per_class, seed), how, partial(work, images, how), console)
    common.finish(results, console)
    return results


if __name__ == "__main__":
    main()
