"""How the site is built: ``sphinx-build -W docs OUT``. Everything comes with the packages; nothing is fetched.

The pages are Markdown that reads well in any viewer as well. Their links to lines of the sources, such as
``../minicnn/ops/conv.py#L28``, lead in the site to a copy of the file with numbered lines, made at the end.
"""

import re
import sys
from pathlib import Path

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import TextLexer, get_lexer_for_filename
from pygments.util import ClassNotFound

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "kernels")]

project = "minicnn"
author = "the minicnn authors"
copyright = "the minicnn authors"  # (Sphinx's name for it)
html_title = "minicnn"
html_theme = "furo"
html_show_sourcelink = False
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["images/*", "*_table.md"]  # tables are included by the pages that explain them

myst_heading_anchors = 3
myst_url_schemes = {"http": None, "https": None, "source": {"url": "{{path}}.html#{{fragment}}"}}

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "none"  # shapes and types are in the docstrings
# Defaults as values: wrapped functions (ops/out.py) have an argument more than their source, which the other way trips over.
autodoc_preserve_defaults = False
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_param = False
napoleon_use_ivar = True

LINK = re.compile(r"\]\((\.\./[\w./-]+)(?:#L(\d+))?\)")
SPECIAL = re.compile(r"``.*?``|`[^`]*`|(?P<star>(?<=, )\*(?=[\w)]))|(?P<bar>(?<=\w)_(?=[\s,.;:)]|$))")
linked: set[str] = set()


def escape_docstring(app, what, name, obj, options, lines):
    """Docstrings are written to be read as they are: ``(n, c, *spatial)`` is no emphasis there, and ``add_`` no link."""
    in_session = False
    for i, line in enumerate(lines):
        in_session = line.lstrip().startswith(">>>") or (in_session and bool(line.strip()))
        if not in_session:
            lines[i] = SPECIAL.sub(lambda m: "\\" + m[0] if m["star"] or m["bar"] else m[0], line)


def rewrite_links(app, docname, source):
    """``[text](../path#L12)`` -> ``[text](source:source/path#L-12)``, and remember the path. Links to pages stay."""
    page = ROOT / "docs" / docname
    to_top = "../" * docname.count("/")

    def rewrite(match):
        target = (page.parent / match[1]).resolve()
        if target.is_relative_to(ROOT / "docs"):
            return match[0]
        path, line = target.relative_to(ROOT).as_posix(), match[2]
        if target.is_dir():
            raise ValueError(f"{docname}: link to {path}: name a file in it")
        linked.add(path)
        return f"](source:{to_top}source/{path}#{'L-' + line if line else ''})"

    source[0] = LINK.sub(rewrite, source[0])


def write_source_pages(app, error):
    """One page with numbered lines for each file that a page has linked to."""
    if error is not None or app.builder.name != "html":
        return
    for path in sorted(linked):
        text = (ROOT / path).read_text(encoding="utf-8")
        try:
            lexer = get_lexer_for_filename(path)
        except ClassNotFound:  # the licences
            lexer = TextLexer()
        formatter = HtmlFormatter(full=True, title=path, linenos="inline", lineanchors="L", anchorlinenos=True)
        page = Path(app.outdir, "source", path + ".html")
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(highlight(text, lexer, formatter), encoding="utf-8")


def setup(app):
    app.connect("source-read", rewrite_links)
    app.connect("autodoc-process-docstring", escape_docstring, priority=400)  # before napoleon
    app.connect("build-finished", write_source_pages)
    return {"parallel_read_safe": False}
