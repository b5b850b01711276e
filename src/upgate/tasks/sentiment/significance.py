"""What the test items say about classifiers, beyond seeds.

The item bootstrap, and McNemar's test for one pair of models at a time.
"""

from statistics import median

import numpy as np

from upgate.stats.classification import item_bootstrap, mcnemar
from upgate.tasks.significance import BeyondSeeds, Significance, StudyRuns

ITEMS, MCNEMAR = "item bootstrap", "McNemar, median over runs"


def compare_answers(runs: StudyRuns) -> BeyondSeeds:
    """An arm with a diverged run has no predictions there, and no tests."""
    correct = {arm: answers(runs, arm) for arm in runs.cells}
    baseline = correct.pop(runs.baseline, None)
    if baseline is None:
        return BeyondSeeds()
    second = {
        arm: item_tests(candidate, baseline, runs.alpha)
        for arm, candidate in correct.items()
        if candidate is not None
    }
    return BeyondSeeds(second=second)


def answers(runs: StudyRuns, arm: str) -> np.ndarray | None:
    """Correct or not, (runs, items): seeds and folds are all models of the same test items."""
    rows = []
    for cell in runs.cells[arm]:
        table = runs.table(arm, cell, "predictions")
        if table is None:
            return None
        rows.append((table["predicted"] == table["truth"]).to_numpy(bool))
    return np.stack(rows)


def item_tests(candidate: np.ndarray, baseline: np.ndarray, alpha: float) -> list[Significance]:
    """Of two arms, (runs, items) bool each.

    Other items: the mean accuracy of all runs, resampled by item; and the median of McNemar's
    p-values, model by model.
    """
    estimate = item_bootstrap(candidate.astype(float), baseline.astype(float), alpha)
    p = median(mcnemar(own, other) for own, other in zip(candidate, baseline, strict=True))
    nan = float("nan")
    return [
        Significance(ITEMS, estimate.effect, estimate.low, estimate.high, nan),
        Significance(MCNEMAR, estimate.effect, nan, nan, p),
    ]
