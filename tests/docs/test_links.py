"""Links of the documentation lead somewhere: to files, to headings, and to the lines that they quote."""

import re
from pathlib import Path

import pytest

from docs.line_links import line_links
from tests.helpers.markdown import anchors, links, pages, slug

ROOT = Path(__file__).resolve().parents[2]
PAGES = pages(ROOT)
IDS = [page.relative_to(ROOT).as_posix() for page in PAGES]


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_lead_somewhere(page):
    broken = []
    for link in links(page.read_text(encoding="utf-8")):
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.is_relative_to(ROOT) or not target.exists():
            broken.append(f"{link}: no such file")
        elif re.fullmatch(r"L\d+", anchor):
            if int(anchor[1:]) > len(target.read_text(encoding="utf-8").splitlines()):
                broken.append(f"{link}: the file is shorter")
        elif anchor and anchor not in anchors(target.read_text(encoding="utf-8")):
            broken.append(f"{link}: no such heading")
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_to_lines_quote_them(page):
    moved = [
        f"`{link.quotation}` is not at {link.target.relative_to(ROOT)}:{link.line}, "
        f"but at {link.right_line or 'none or several lines'}"
        for link in line_links(page)
        if link.right_line != link.line
    ]
    assert not moved, "\n".join([*moved, "python docs/line_links.py mends what has only moved"])


def test_every_link_to_a_line_quotes_it():
    """A bare line number would go stale without anybody noticing."""
    for page in PAGES:
        numbered = [link for link in links(page.read_text(encoding="utf-8")) if re.search(r"#L\d+$", link)]
        assert len(numbered) == len(list(line_links(page))), page


def test_slug_is_githubs():
    assert slug("1. `F.conv2d`: the public function") == "1-fconv2d-the-public-function"
