"""Classes by import path, for the members of an Enum."""

from __future__ import annotations

import sys
from enum import Enum
from functools import lru_cache
from importlib import import_module


def class_path(cls: type) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


@lru_cache(maxsize=1024)
def enum_class(path: str) -> type[Enum]:
    """The Enum at "module:Outer.Inner". Raises `LookupError` for anything else that may be there."""
    module_name, _, qualname = path.partition(":")
    module = sys.modules.get(module_name) or _import(module_name, path)
    found: object = module
    for part in qualname.split("."):
        # Through classes only, and without running their descriptors: a path must not become a call.
        found = vars(found).get(part) if isinstance(found, type) or found is module else None
    if isinstance(found, type) and issubclass(found, Enum):
        return found
    raise LookupError(f"There is no Enum class {path}")


def _import(module_name: str, path: str) -> object:
    try:
        return import_module(module_name)
    except ImportError as error:
        raise LookupError(f"There is no Enum class {path}: {error}") from error
