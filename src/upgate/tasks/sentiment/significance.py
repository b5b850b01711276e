"""What the test items say about classifiers, beyond seeds: the item bootstrap, and McNemar's test for one pair of models at a time."""

from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

from upgate.stats.classification import item_bootstrap, mcnemar
from upgate.store.record import Row
from upgate.study.result import Significance, Study

ITEMS, MCNEMAR = "item bootstrap", "McNemar, median over runs"
Cells = Mapping[tuple[int, int], Row]
Tables = Callable[[Row, str], pd.DataFrame]


def second(study: Study, runs: Mapping[str, Cells], tables: Tables) -> dict[str, Any]:
    """Fields of a StudyResult. runs: complete arms; an arm with a diverged run has no predictions there, and no test."""
    right = {name: answers(cells, tables) for name, cells in runs.items()}
    base = right.get(study.baseline)
    found = {}
    for name, own in right.items():
        if own is not None and base is not None and name != study.baseline:
            found[name] = tests(own, base, study.alpha)
    return {
        "second": found,
        "confidence_set": {},
        "tickers": {},
        "ticker_interval": {},
        "dates": [],
        "losses": {},
    }


def answers(cells: Cells, tables: Tables) -> np.ndarray | None:
    """Right or wrong, (runs, items): seeds and folds are all models judged on the same test items."""
    if any(row.diverged for row in cells.values()):
        return None
    frames = [tables(row, "predictions") for row in cells.values()]
    return np.stack([(frame["predicted"] == frame["truth"]).to_numpy(bool) for frame in frames])


def tests(own: np.ndarray, base: np.ndarray, alpha: float) -> list[Significance]:
    """Other items: the mean accuracy of all runs resampled by item; and the middle one of McNemar's p-values, model beside model."""
    found = item_bootstrap(own.astype(float), base.astype(float), alpha)
    p = median(mcnemar(mine, theirs) for mine, theirs in zip(own, base, strict=True))
    return [
        Significance(ITEMS, found.effect, found.low, found.high, float("nan")),
        Significance(MCNEMAR, found.effect, float("nan"), float("nan"), p),
    ]
