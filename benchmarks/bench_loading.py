"""An epoch of 64 JPEG photographs beside training: how much longer training takes because its images have to be loaded.

Photographs of 500 x 375 pixels go through what training uses: decoding, a random window resized to 64 x 64, mirroring,
a tensor, normalising. minicnn's workers are threads, PyTorch's are processes; both ask the same Pillow for the same work,
and feed the same training, that of a ResNet-18 in minicnn, compiled. In a fresh process for each peer, epochs with the
loader and epochs that see one batch again and again take turns, and the workers are there already; "times" is the first
over the second. The floor is 1 where there is a core to spare ("training on 1 of 2 cores"), and otherwise 1 and the
loader's processor time over that of training.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from .case import MINICNN, TORCH, ProcessCase, Setting
from .harness import run_pinned

PROCESSES = True
BATCH, SIDE, EPOCHS = 16, 64, 3
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def write(folder: str, n: int) -> None:
    """In a process of its own: n photographs of clouds, which take a camera's bytes: about one for four pixels."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    place = Path(folder) / "clouds"
    place.mkdir()
    for i in range(n):
        layers = [rng.integers(0, 256, (375 // size + 1, 500 // size + 1, 3), np.uint8) for size in (4, 16, 64)]
        fine, middle, coarse = (Image.fromarray(layer).resize((500, 375), Image.Resampling.BICUBIC) for layer in layers)
        Image.blend(Image.blend(coarse, middle, 0.4), fine, 0.2).save(place / f"{i}.jpg", quality=90)


def _minicnn_loader(folder: str, workers: int) -> Any:
    from minicnn.data import DataLoader, ImageFolder, transforms

    steps = [
        transforms.RandomResizedCrop(SIDE),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize(MEAN, STD),
    ]
    files = ImageFolder(folder, transforms.Compose(steps))
    return DataLoader(files, BATCH, shuffle=True, num_workers=workers, persistent_workers=workers > 0)


def _torch_loader(folder: str, workers: int) -> Any:
    """torch.utils.data with the same Pillow, and torchvision's ToTensor and Normalize in PyTorch."""
    import numpy as np
    import torch
    from PIL import Image

    from minicnn.data import ImageFolder, transforms

    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
    pictures = transforms.Compose([transforms.RandomResizedCrop(SIDE), transforms.RandomHorizontalFlip()])

    def load(path: str) -> Any:
        with open(path, "rb") as file:
            image = pictures(Image.open(file).convert("RGB"))
        return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous().float().div(255).sub_(mean).div_(std)

    files: Any = ImageFolder(folder, loader=load)
    options = {"num_workers": workers, "persistent_workers": workers > 0}
    return torch.utils.data.DataLoader(files, BATCH, shuffle=True, **options)


def run(peer: str, folder: str, workers: int, threads: int) -> float:
    """In the fresh process. threads : that train, beside the loader; 0 gives the seconds of loading alone."""
    import minicnn as mc

    loader = (_minicnn_loader if peer == MINICNN else _torch_loader)(folder, workers)
    same = [(mc.randn(BATCH, 3, SIDE, SIDE), mc.zeros(BATCH, dtype=mc.int64))] * len(loader)
    step = _trained(threads) if threads else lambda images, labels: None

    def epoch(batches: Any) -> float:
        start = time.perf_counter()
        for images, labels in batches:
            step(*(x if isinstance(x, mc.Tensor) else mc.from_numpy(x.numpy()) for x in (images, labels)))
        return time.perf_counter() - start

    epoch(loader)
    turns = [(epoch(loader), epoch(same)) for _ in range(EPOCHS)]
    return statistics.median(both / alone if threads else both for both, alone in turns)


def _trained(threads: int) -> Any:
    """A step of training, warmed up."""
    import minicnn as mc

    mc.set_num_threads(threads)
    network = mc.models.resnet18(num_classes=2)
    optimizer = mc.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    compiled = mc.compile(network)

    def step(images: Any, labels: Any) -> None:
        optimizer.zero_grad()
        mc.nn.functional.cross_entropy(compiled(images), labels).backward()
        optimizer.step()

    for _ in range(3):
        step(mc.randn(BATCH, 3, SIDE, SIDE), mc.zeros(BATCH, dtype=mc.int64))
    return step


def _process(peer: str, folder: str, workers: int, training: int, threads: int) -> float:
    code = f"from benchmarks.bench_loading import run; print(run({peer!r}, {folder!r}, {workers}, {training}))"
    return run_pinned(["-W", "ignore", "-c", code], threads)


def cases(setting: Setting) -> Iterator[ProcessCase]:
    threads, n = setting.threads, 2 * BATCH if setting.quick else 64
    with tempfile.TemporaryDirectory() as folder:
        run_pinned(["-W", "ignore", "-c", f"from benchmarks.bench_loading import write; write({folder!r}, {n})"], 1)

        def case(name: str, unit: str, workers: int, training: int) -> ProcessCase:
            place = (folder, workers, training, threads)
            peers = {peer: partial(_process, peer, *place) for peer in (MINICNN, TORCH)}
            return ProcessCase(f"{name}, {workers or 'no'} worker", unit, peers, rounds=2)

        yield case("loading alone", "s", 1, 0)
        for training in (1,) if setting.quick else sorted({max(threads - 1, 1), threads}):
            for workers in (0, 1) if training == threads else (1,):
                yield case(f"training on {training} of {threads} cores", "times", workers, training)
