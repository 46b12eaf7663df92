"""The page of torch's names is what its script would write now."""

import importlib.util
from pathlib import Path

from tests.helpers.surface import BEHAVIOUR, SIGNATURES, groups

ROOT = Path(__file__).resolve().parents[2]


def script():
    spec = importlib.util.spec_from_file_location("coverage_page", ROOT / "docs" / "coverage.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_page_is_up_to_date():
    page = (ROOT / "docs" / "torch_coverage.md").read_text(encoding="utf-8")
    assert page == script().page(), "run `python docs/coverage.py`"


def test_differences_are_of_names_that_are_there():
    there = {f"{group.title}.{name}" for group in groups() for name, _, ours in group if ours is not None}
    assert {*SIGNATURES, *BEHAVIOUR} <= there
