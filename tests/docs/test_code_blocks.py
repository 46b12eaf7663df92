"""Every code block of the documentation runs, in order, each page in one namespace.

``python`` blocks are executed, ``pycon`` blocks are doctests (their output is compared), and of ``bash`` blocks each
minicnn command is parsed with the options it is given. ``text`` blocks are pictures and formulas.

A ``python`` block whose first line names a source file (``# minicnn/ops/activation.py``) is run as if it stood at that
file's end, until the page is done. Functions called ``test_...`` are called at the end of the page.
"""

import doctest
import importlib
import os
import re
import shlex
import tomllib
from pathlib import Path
from types import CodeType, ModuleType

import pytest
import typer.main

import minicnn as mc
from minicnn import cli
from tests.helpers.markdown import Block, blocks, pages

ROOT = Path(__file__).resolve().parents[2]
PAGES = {page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8") for page in pages(ROOT)}
PAGES_WITH_PYTHON = [
    name for name, text in PAGES.items() if any(b.language in ("python", "pycon") for b in blocks(text))
]
COMMANDS = [(name, block) for name, text in PAGES.items() for block in blocks(text) if block.language == "bash"]


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """An empty folder to run in, and the state of the generator and of the threads put back afterwards."""
    monkeypatch.chdir(tmp_path)
    state, threads = mc.get_rng_state(), mc.get_num_threads()
    yield tmp_path
    mc.set_rng_state(state)
    mc.set_num_threads(threads)


@pytest.mark.parametrize("name", PAGES)
def test_languages_are_known(name):
    languages = {block.language for block in blocks(PAGES[name])}
    assert languages <= {"python", "pycon", "bash", "text", "toml"}, "say what each block is, so that it can be tested"


@pytest.mark.parametrize("name", PAGES_WITH_PYTHON)
def test_code_blocks_run(name, elsewhere, monkeypatch):
    namespace = {"__name__": "__main__"}
    for block in blocks(PAGES[name]):
        if block.language == "python":
            padding = "\n" * (block.line - 1)  # so that a traceback names the page's own line
            code = compile(padding + block.body, str(ROOT / name), "exec")
            module = module_named_by(block)
            if module is None:
                exec(code, namespace)
            else:
                run_at_the_end_of(module, code, monkeypatch)
        elif block.language == "pycon":
            run_session(name, block, namespace)
    for thing in [value for key, value in namespace.items() if key.startswith("test_")]:
        thing()
    if name == "README.md":
        assert namespace["accuracy"] > 0.9, "the README's script should teach its network something"


def module_named_by(block: Block) -> ModuleType | None:
    """The module in whose file a block is said to stand."""
    match = re.match(r"# (?:kernels/)?(minicnn\w*/[\w/]+)\.py\n", block.body)
    return importlib.import_module(match[1].replace("/", ".")) if match else None


def run_at_the_end_of(module: ModuleType, code: CodeType, monkeypatch: pytest.MonkeyPatch) -> None:
    """New names become attributes of the module, and of its package, as a line of export would have it."""
    namespace = dict(module.__dict__)
    exec(code, namespace)
    package = importlib.import_module(module.__package__ or module.__name__)
    for key in namespace.keys() - module.__dict__.keys():
        monkeypatch.setattr(module, key, namespace[key], raising=False)
        if not hasattr(package, key):
            monkeypatch.setattr(package, key, namespace[key], raising=False)


def run_session(name: str, block: Block, namespace: dict) -> None:
    """A block of prompts and answers, as a doctest in the page's namespace."""
    parsed = doctest.DocTestParser().get_doctest(block.body, {}, name, str(ROOT / name), block.line - 1)
    parsed.globs = namespace  # not a copy: later blocks go on from here
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    runner.run(parsed, out=report.append, clear_globs=False)
    assert runner.failures == 0, "".join(report)


def commands(block: Block) -> list[list[str]]:
    """The shell commands of a block as words, without variables set before them; ``&&`` separates two."""
    text = block.body.replace("\\\n", " ")
    found = []
    for line in text.splitlines():
        words: list[str] = []
        for word in [*shlex.split(line, comments=True), "&&"]:
            if word == "&&":
                if words:
                    found.append(words)
                words = []
            elif words or not re.match(r"\w+=", word):
                words.append(word)
    return found


@pytest.mark.parametrize(("name", "block"), COMMANDS, ids=[f"{name}:{block.line}" for name, block in COMMANDS])
def test_shell_commands_exist(name, block):
    """Parsed as the command line would parse them, and not run."""
    app = typer.main.get_command(cli.app)
    for words in commands(block):
        if words[0] != "minicnn":
            continue
        if len(words) == 2 and words[1].startswith("--"):
            assert words[1] in {option for parameter in app.params for option in parameter.opts} | {"--help"}
            continue
        command = app.commands[words[1]]
        arguments = [word for word in words[2:] if word != "--help"]
        if len(arguments) == len(words) - 2:
            command.make_context(words[1], arguments)


def test_reader_of_commands():
    block = Block("bash", "A=1 minicnn train --lr 1 \\\n  --epochs 2  # why\nx && minicnn info\n", 1)
    assert commands(block) == [["minicnn", "train", "--lr", "1", "--epochs", "2"], ["x"], ["minicnn", "info"]]


def test_extras_and_variables_exist():
    """``pip install ".[...]"`` names extras that pyproject.toml has; MINICNN_... variables occur in the sources."""
    extras = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])
    sources = [*(ROOT / "minicnn").rglob("*.py"), *(ROOT / "kernels").rglob("*.py")]
    code = "".join(path.read_text(encoding="utf-8") for path in sources)
    for name, text in PAGES.items():
        for listed in re.findall(r"(?:\.|minicnn)\[([\w,]+)\]\"", text):
            assert set(listed.split(",")) <= extras, name
        for variable in set(re.findall(r"\bMINICNN_[A-Z_]+\b", text)):
            assert f'"{variable}"' in code, f"{name}: {variable} is read nowhere"


def test_readme_has_the_two_commands():
    """``.ci/run`` takes them from there, so that what is promised is what is tried."""
    lines = [
        line for block in blocks(PAGES["README.md"]) if block.language == "bash" for line in block.body.splitlines()
    ]
    assert "python -m pip install -e . && minicnn train" in lines
    assert 'python -m pip install -e ".[test]" && pytest' in lines
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
