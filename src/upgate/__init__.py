"""Does the upgraded LSTM recipe help on your data?"""

from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    """`upgate.judge` is imported when it is first used."""
    if name == "judge":
        return import_module("upgate.referee.judge").judge
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
