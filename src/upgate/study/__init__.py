"""Studies: designs, plans, verdicts.

The package is callable: `upgate.study(...)` means the function of that name in `upgate.api`, and
Python puts this package in its place as soon as anything imports it.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class CallablePackage(ModuleType):
    """A package that is also the function `upgate.api.functions.study`."""

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        return import_module("upgate.api.functions").study(*args, **keywords)


sys.modules[__name__].__class__ = CallablePackage
