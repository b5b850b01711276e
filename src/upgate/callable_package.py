"""Packages that are also functions: `upgate.study(...)` and `upgate.tune(...)`.

Python puts a package in its parent's namespace as soon as anything imports it, in the place of the
function of the same name; so the package itself can be called and means that function.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

FUNCTIONS = "upgate.api.functions"


class CallablePackage(ModuleType):
    """A package that is also the function of its name in `upgate.api.functions`."""

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        function = getattr(import_module(FUNCTIONS), self.__name__.rpartition(".")[2])
        return function(*args, **keywords)


def make_callable(package: str) -> None:
    """Let a package, which is being imported, be called."""
    sys.modules[package].__class__ = CallablePackage
