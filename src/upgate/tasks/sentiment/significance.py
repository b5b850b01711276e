"""What the test items say about classifiers, beyond seeds.

The item bootstrap, and McNemar's test for one pair of models at a time.
"""

from statistics import median

import numpy as np

from upgate.stats.classification import item_bootstrap, mcnemar
from upgate.tasks.sentiment.texts import ITEMS, MCNEMAR
from upgate.tasks.significance import BeyondSeeds, Significance, StudyRuns, UnitScores

LINEAR = ("linear", "nb_logistic")  # references with a column of predictions each


def compare_answers(runs: StudyRuns) -> BeyondSeeds:
    """An arm with a diverged run has no predictions there, and no tests."""
    kept = unseen_items(runs)
    correct = {arm: answers(runs, arm, kept) for arm in runs.cells}
    baseline = correct.pop(runs.baseline, None)
    if baseline is None:
        return BeyondSeeds()
    second = {
        arm: item_tests(candidate, baseline, runs.alpha)
        for arm, candidate in correct.items()
        if candidate is not None
    }
    return BeyondSeeds(second=second)


def item_scores(runs: StudyRuns) -> UnitScores:
    """How much each item adds to the accuracy: right or not, minus the accuracy, mean over folds.

    A reference's answers are read from one run of the baseline, where its table has them.
    """
    deviations, kept = {}, unseen_items(runs)
    for arm, cells in runs.cells.items():
        correct = answers(runs, arm, kept)
        if correct is not None:
            seeds = len(dict.fromkeys(seed for seed, _ in cells))
            per_seed = correct.reshape(seeds, -1, correct.shape[1]).mean(axis=1)
            deviations[arm] = per_seed - per_seed.mean(axis=1, keepdims=True)
    if runs.baseline in deviations:
        table = runs.table(runs.baseline, runs.cells[runs.baseline][0], "predictions")
        for name in LINEAR:
            if table is not None and f"predicted_{name}" in table:
                right = (table[f"predicted_{name}"] == table["truth"]).to_numpy(float)[kept]
                deviations[name] = (right - right.mean())[None]
    return UnitScores(deviations)


def unseen_items(runs: StudyRuns) -> np.ndarray | slice:
    """Which test items are judged: (items,) bool, those that no fold's training part has too.

    All of them where none is left, or the baseline has no tables.
    """
    cells = runs.cells.get(runs.baseline, ())
    tables = [runs.table(runs.baseline, cell, "predictions") for cell in cells]
    seen = [table["leaked"].to_numpy(bool) for table in tables if table is not None]
    kept = ~np.any(seen, axis=0) if seen else np.zeros(1, dtype=bool)
    return kept if kept.any() else slice(None)


def answers(runs: StudyRuns, arm: str, kept: np.ndarray | slice) -> np.ndarray | None:
    """Correct or not, (runs, kept items): seeds and folds are models of the same test items."""
    rows = []
    for cell in runs.cells[arm]:
        table = runs.table(arm, cell, "predictions")
        if table is None:
            return None
        rows.append((table["predicted"] == table["truth"]).to_numpy(bool)[kept])
    return np.stack(rows)


def item_tests(candidate: np.ndarray, baseline: np.ndarray, alpha: float) -> list[Significance]:
    """Of two arms, (runs, items) bool each.

    Other items: the mean accuracy of all runs, resampled by item; and McNemar's p-values, model by
    model, combined as twice their median, at most 1. The runs share their items, so their p-values
    depend on each other; twice the median is valid under any dependence (Rüger 1978,
    Metrika 25), the median itself is not.
    """
    estimate = item_bootstrap(candidate.astype(float), baseline.astype(float), alpha)
    own = [mcnemar(a, b) for a, b in zip(candidate, baseline, strict=True)]
    p = min(1.0, 2 * median(own))
    nan = float("nan")
    return [
        Significance(ITEMS, estimate.effect, estimate.low, estimate.high, nan),
        Significance(MCNEMAR, estimate.effect, nan, nan, p),
    ]
