"""A model of the user's own, from ``module:attribute`` or ``path/to/file.py:attribute``."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import minicnn_kernels

from .errors import UserError

if TYPE_CHECKING:
    from ..nn import Module


def load_model(place: str) -> Module:
    """Import ``place``, and return the model there; a class, or a function that makes one, is called without arguments.

    A module is looked for in the current folder too, as ``python -m`` does; a file's own folder is on the path while it is
    imported.

    Raises
    ------
    UserError : nothing there, code there that raises, or something that is no model.
    """
    from ..nn import Module

    where, _, attribute = place.rpartition(":")
    if not where or not attribute:
        raise UserError(f"MODEL {place!r}: expected module:attribute or path/to/file.py:attribute")
    found: Any = _imported(where)
    for name in attribute.split("."):
        if not hasattr(found, name):
            raise UserError(f"MODEL {place!r}: {where} has no {name!r}{_suggestion(found)}")
        found = getattr(found, name)
    if isinstance(found, Module):
        return found
    if not callable(found):
        raise UserError(f"MODEL {place!r}: it is a {type(found).__name__}; expected a Module, or what makes one")
    try:
        made = found()
    except Exception as error:
        raise UserError(f"MODEL {place!r}: calling it without arguments failed: {described(error)}") from None
    if not isinstance(made, Module):
        raise UserError(f"MODEL {place!r}: calling it gave a {type(made).__name__}; expected a Module")
    return made


def described(error: BaseException) -> str:
    """An error of the user's code in a line: what, and where."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = (Path(__file__).parents[1], Path(minicnn_kernels.__file__).parent)
    theirs = [
        frame
        for frame in frames
        if not frame.filename.startswith("<frozen") and not any(Path(frame.filename).is_relative_to(p) for p in ours)
    ]
    at = f" ({theirs[-1].filename}, line {theirs[-1].lineno})" if theirs else ""
    return f"{type(error).__name__}: {error}{at}"


def _imported(where: str) -> ModuleType:
    is_file = where.endswith(".py")
    if is_file and not Path(where).is_file():
        raise UserError(f"MODEL: there is no file {where}")
    folder = str(Path(where).resolve().parent if is_file else Path.cwd())
    sys.path.insert(0, folder)
    try:
        if not is_file:
            return importlib.import_module(where)
        return _run_file(where)
    except ModuleNotFoundError as error:
        if not is_file and error.name and (where == error.name or where.startswith(error.name + ".")):
            raise UserError(
                f"MODEL: there is no module {error.name!r}, here or installed; a file is named with its .py: "
                "path/to/file.py:attribute"
            ) from None
        raise UserError(f"MODEL: importing {where} failed: {described(error)}") from None
    except Exception as error:
        raise UserError(f"MODEL: importing {where} failed: {described(error)}") from None
    finally:
        # By value: the imported code may have put folders of its own in front, or taken this one away.
        if folder in sys.path:
            sys.path.remove(folder)


def _run_file(where: str) -> ModuleType:
    # A name no import statement can spell, so that a model in random.py does not stand in for the standard library's.
    spec = importlib.util.spec_from_file_location(f"model file {Path(where).stem}", where)
    assert spec is not None, "a name that ends in .py has a loader"
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Before it runs, as import does: a dataclass with annotations kept as text looks up its own module there.
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(spec.name, None)
        raise
    return module


def _suggestion(found: Any) -> str:
    """The models there, and what may make them."""
    from ..nn import Module

    def may_be(thing: Any) -> bool:
        own = getattr(thing, "__module__", None) == getattr(found, "__name__", "")
        return isinstance(thing, Module) or (isinstance(thing, type) and issubclass(thing, Module) and own)

    names = [name for name, thing in vars(found).items() if may_be(thing)]
    return f"; there is {', '.join(names[:8])}" if names else ""
