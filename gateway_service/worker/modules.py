"""Importing the modules of ``GATEWAY_TASKS``, with one sentence for what is wrong with one."""

import importlib
import pkgutil
import traceback
from pathlib import Path
from types import ModuleType

from gateway_service.errors import ConfigurationError


def import_tree(name: str) -> list[ModuleType]:
    """Import a module, and everything inside it when it is a package.

    Raises:
        ConfigurationError: Some module does not exist or fails; the sentence names it and the place.
    """
    root = _import(name)
    found = [root]
    for path in getattr(root, "__path__", ()):
        for info in pkgutil.iter_modules([path], f"{name}."):
            if not info.name.endswith(".__main__"):
                found += import_tree(info.name)
    return found


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as exc:
        # The name that is missing may be a parent of ours, or something that the module itself imports.
        if exc.name is not None and (name == exc.name or name.startswith(f"{exc.name}.")):
            raise ConfigurationError(
                f"GATEWAY_TASKS: there is no module {exc.name!r} in the working directory or on the Python path"
            ) from None
        raise ConfigurationError(_sentence(name, exc)) from exc
    except (Exception, SystemExit) as exc:
        raise ConfigurationError(_sentence(name, exc)) from exc


def _sentence(name: str, error: BaseException) -> str:
    """Say what is wrong with a module: the error, and the last line outside of our own code that led to it."""
    text = f"GATEWAY_TASKS: importing {name!r} failed: {type(error).__name__}: {error}"
    if isinstance(error, SyntaxError):
        return text  # names file and line itself
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _is_machinery(frame.filename)]
    if not frames:
        return text
    return f"{text} ({Path(frames[-1].filename).name}, line {frames[-1].lineno})"


def _is_machinery(filename: str) -> bool:
    path = Path(filename)
    return filename.startswith("<frozen ") or path == Path(importlib.__file__) or path.parent == Path(__file__).parent
