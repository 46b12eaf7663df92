"""The experiments in transfer learning: draws, results that are kept, and both scripts on a few digits."""

import json

import numpy as np
import pytest
import torch

import minicnn as mc
from benchmarks.transfer import carried_over, common, few_shot, page, torch_resnet18
from benchmarks.transfer.common import Images, Recipe, Results
from minicnn import models, nn
from minicnn.data import DataLoader, TensorDataset
from tests.helpers.oracle import compare


def images(n: int = 60, classes: int = 3) -> Images:
    rng = np.random.default_rng(0)
    return Images(rng.integers(0, 256, (n, 28, 28), dtype=np.uint8), np.arange(n) % classes)


def test_more_shots_begin_with_the_fewer_ones():
    data = images()
    few, more, other = data.shots(2, seed=1), data.shots(5, seed=1), data.shots(2, seed=2)
    assert np.bincount(more.labels).tolist() == [5, 5, 5]
    for label in range(3):
        mine = more.pixels[more.labels == label]
        np.testing.assert_array_equal(mine[:2], few.pixels[few.labels == label])
    assert not np.array_equal(few.pixels, other.pixels)
    with pytest.raises(ValueError, match="asked for 21 images of each class, one has 20"):
        data.shots(21, seed=0)


def test_classes_are_numbered_anew():
    part = images().of_classes(range(1, 3))
    assert len(part) == 40
    np.testing.assert_array_equal(part.labels, np.arange(40) % 2)


def test_enlarged_as_in_pytorch():
    x = np.random.default_rng(0).standard_normal((2, 1, 28, 28))
    sides = {mc: common.enlarged, torch: torch_resnet18.enlarged}
    compare(lambda m, x: sides[m](x, 32), x)


def test_pytorchs_network_has_torchvisions_keys_and_its_logits(tmp_path):
    torch.manual_seed(0)
    theirs = torch_resnet18.ResNet18(5)
    own = models.resnet18(num_classes=5).state_dict()
    assert {k: tuple(v.shape) for k, v in theirs.state_dict().items()} == {k: tuple(v.shape) for k, v in own.items()}
    torch.save(theirs.state_dict(), tmp_path / "theirs.pth")
    x = mc.randn(2, 3, 32, 32)
    with mc.no_grad():
        ours = models.resnet18(weights=tmp_path / "theirs.pth", num_classes=5).eval()(x).numpy()
    expected = torch_resnet18.logits(tmp_path / "theirs.pth", x.numpy())
    # float32 rounding through eighteen layers
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_training_learns_and_counts():
    mc.manual_seed(0)
    x = mc.randn(40, 2)
    batches = DataLoader(TensorDataset(x, (x[:, 0] > 0).long()), batch_size=10, shuffle=True)
    head = nn.Linear(2, 2)
    told = common.train(head, head.parameters(), batches, Recipe(epochs=30, lr=0.1), lambda x: x)
    assert told["train_accuracy"] > 0.95
    assert common.accuracy(head, batches) > 0.95


def test_results_are_kept_and_not_measured_again(tmp_path, capsys):
    path, console = tmp_path / "results.json", common.Console(width=120)
    results = Results(path, "made up", {"pixels": 32})
    recipe, accuracies = Recipe(epochs=1, lr=0.1), iter([0.5, 0.6, 0.8])
    for key in (("a", 5, 0), ("a", 5, 1), ("a", 5, 1), ("b", 10, 0)):
        results.measure(key, recipe, lambda: {"accuracy": next(accuracies), "train_accuracy": 1.0}, console)
    again = Results(path, "made up", {"pixels": 32})
    assert again.row(("a", 5, 1), recipe)["accuracy"] == 0.6
    assert again.row(("a", 10, 1), recipe) is None
    again.measure(("b", 10, 0), recipe, lambda: pytest.fail("measured again"), console)
    again.measure(("b", 10, 0), Recipe(2, 0.1), lambda: {"accuracy": 0.9, "train_accuracy": 1.0}, console)
    # 50 and 60 % are sqrt(2) * 5 apart from their mean
    assert again.lines() == (["images a class", "5", "10"], [["a", "55.0 ± 7.1", ""], ["b", "", "90.0"]])
    assert again.markdown().splitlines()[2] == "| a | 55.0 ± 7.1 |  |"
    again.show(console)
    assert "made up: test accuracy in %, mean ± deviation of 2 seeds" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="holds results of other settings"):
        Results(path, "made up", {"pixels": 96})
    assert set(json.loads(path.read_text())) >= {"experiment", "date", "machine", "versions", "settings", "rows"}


def test_the_documentation_shows_what_was_measured():
    few, over = page.read("few_shot"), page.read("carried_over")
    assert page.PAGE.read_text(encoding="utf-8") == page.page(few, over), "python -m benchmarks.transfer.page writes it"
    told = over.document["carried_over"]
    assert told["largest_difference"] <= 1e-5 * told["largest_logit"]  # float32 rounding through eighteen layers


def test_cells_with_fewer_seeds_are_told():
    results = Results(None, "made up", {})
    row = {"accuracy": 0.5, "recipe": {}}
    results.rows.extend(row | {"method": "a", "per_class": 5, "seed": seed} for seed in range(3))
    assert page.unequal(results) == ["(3 seeds.)"]
    results.rows.append(row | {"method": "b", "per_class": 5, "seed": 0})
    assert page.unequal(results) == ["(3 seeds; fewer for b at 5: 1.)"]


@pytest.mark.slow
def test_few_shot_runs(tmp_path, capsys):
    results = few_shot.main(["--quick", "--json", str(tmp_path / "few.json")])
    methods = [few_shot.FROZEN, few_shot.MIDDLE, few_shot.SMALL, few_shot.SCRATCH, few_shot.TUNED]
    assert [row["method"] for row in results.rows] == methods
    assert "| the same network from scratch |" in capsys.readouterr().out


@pytest.mark.slow
def test_carried_over_runs_and_goes_on(tmp_path, capsys):
    arguments = ["--quick", "--json", str(tmp_path / "over.json"), "--checkpoint", str(tmp_path / "file.pth")]
    results = carried_over.main(arguments)
    assert len(results.rows) == 3
    told = results.document["carried_over"]
    assert told["largest_difference"] <= 1e-5 * told["largest_logit"]  # float32 rounding through eighteen layers
    before = (tmp_path / "file.pth").stat().st_mtime_ns
    assert carried_over.main(arguments).rows == results.rows
    assert (tmp_path / "file.pth").stat().st_mtime_ns == before
