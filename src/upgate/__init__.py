"""Does the upgraded LSTM recipe help on your data?"""

from importlib import import_module
from typing import Any

# What Python users take from here, each imported when it is first used.
PLACES = {
    "judge": "upgate.referee.judge",
    "train": "upgate.api.functions",
    "study": "upgate.api.functions",
    "predict": "upgate.api.functions",
    "runs": "upgate.api.functions",
    "tune": "upgate.api.functions",
    "StockModule": "upgate.tasks.stock.module",
    "StockDataModule": "upgate.tasks.stock.datamodule",
    "SentimentModule": "upgate.tasks.sentiment.module",
    "SentimentDataModule": "upgate.tasks.sentiment.datamodule",
    "LSTMRegressor": "upgate.estimators.lstm",
    "LSTMClassifier": "upgate.estimators.lstm",
    "UserError": "upgate.errors",
}


def __getattr__(name: str) -> Any:
    """`upgate.judge` and the others are imported when they are first used."""
    if name in PLACES:
        return getattr(import_module(PLACES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *PLACES])
