"""Modules that a library imports and that only some of its functions need: loaded when one of them is used."""

from __future__ import annotations

import importlib
import sys
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Late(ModuleType):
    """Stands for a module until one of its attributes is asked for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


@contextmanager
def imported_late(*names: str) -> Iterator[None]:
    """Whoever imports one of these modules meanwhile has it loaded when it is used; one that is loaded stays as it is.

    Not ``importlib.util.LazyLoader``: an import statement for a module that waits makes it load
    (docs/decisions/1677-great-expectations-loads-what-it-uses.md).
    """
    waiting = {name: _Late(name) for name in names if name not in sys.modules}
    modules: dict[str, Any] = sys.modules
    modules.update(waiting)
    try:
        yield
    finally:
        for name, one in waiting.items():
            if modules.get(name) is one:
                del modules[name]
