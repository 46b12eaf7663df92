"""Results as Markdown: ``python -m benchmarks.transfer.page`` writes the file that a page of the documentation includes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..page import where
from . import common

PAGE = Path(__file__).parents[2] / "docs" / "transfer_experiments_table.md"


def page(few: common.Results, over: common.Results) -> str:
    """Both tables, what else was measured, and where."""
    told = over.document["carried_over"]
    parts = [
        f"{where([few.document, over.document])} Percent of the test images that were classified rightly: mean ± standard "
        f"deviation over the seeds, which draw the images and initialise. {settings(few)}",
        f"**Few images a class**, ten classes, {few.document['settings']['pixels']} pixels for EfficientNet-Lite0.",
        few.markdown(),
        *unequal(few),
        f"**Carried over from PyTorch**, five classes that it has never seen, {over.document['settings']['pixels']} pixels.",
        over.markdown(),
        *unequal(over),
        f"Before that, on {told['images']} test images of the first half: PyTorch classifies {told['accuracy_pytorch']:.1%} "
        f"rightly, minicnn with the same file {told['accuracy_minicnn']:.1%}; logits of up to {told['largest_logit']:.1f} "
        f"differ by at most {told['largest_difference']:.1e}.",
    ]
    return "\n\n".join(parts) + "\n"


def settings(results: common.Results) -> str:
    return f"Tested on {results.document['settings']['test_images']} images, the same for all, as many of each class."


def unequal(results: common.Results) -> list[str]:
    """A sentence where not all cells are of the same number of seeds."""
    counts: dict[tuple[str, int], int] = {}
    for row in results.rows:
        key = row["method"], row["per_class"]
        counts[key] = counts.get(key, 0) + 1
    most = max(counts.values())
    fewer = [f"{method} at {size}: {count}" for (method, size), count in counts.items() if count < most]
    seeds = f"{most} seed{'s' * (most > 1)}"
    return [f"({seeds}; fewer for {', '.join(fewer)}.)"] if fewer else [f"({seeds}.)"]


def read(name: str) -> common.Results:
    """What a run of an experiment has written into ``benchmarks/results``."""
    path = common.RESULTS / f"transfer_{name}.json"
    document: dict[str, Any] = json.loads(path.read_text())
    results = common.Results(None, name, document["settings"])
    results.document = document
    return results


if __name__ == "__main__":
    PAGE.write_text(page(read("few_shot"), read("carried_over")), encoding="utf-8")
