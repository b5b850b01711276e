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
    correct, _ = unseen_answers(runs)
    baseline = correct.pop(runs.baseline, None)
    if baseline is None:
        return BeyondSeeds()
    second = {arm: item_tests(one, baseline, runs.alpha) for arm, one in correct.items()}
    return BeyondSeeds(second=second)


def item_scores(runs: StudyRuns) -> UnitScores:
    """How much each item adds to the accuracy: right or not, minus the accuracy, mean over folds.

    A reference's answers are read from one run of the baseline, where its table has them.
    """
    deviations = {}
    correct, kept = unseen_answers(runs)
    for arm, right in correct.items():
        seeds = len(dict.fromkeys(seed for seed, _ in runs.cells[arm]))
        per_seed = right.reshape(seeds, -1, right.shape[1]).mean(axis=1)
        deviations[arm] = per_seed - per_seed.mean(axis=1, keepdims=True)
    if runs.baseline in deviations:
        table = runs.table(runs.baseline, runs.cells[runs.baseline][0], "predictions")
        for name in LINEAR:
            if table is not None and f"predicted_{name}" in table:
                right = (table[f"predicted_{name}"] == table["truth"]).to_numpy(float)[kept]
                deviations[name] = (right - right.mean())[None]
    return UnitScores(deviations)


def unseen_answers(runs: StudyRuns) -> tuple[dict[str, np.ndarray], np.ndarray | slice]:
    """Arm -> correct or not, (runs, kept items); and which test items are kept, (items,) bool.

    Kept are those that no fold's training part of the baseline has too; all where none is left.
    Seeds and folds are all models of the same test items. An arm with a diverged run is left out.
    """
    found = {arm: one for arm in runs.cells if (one := read_answers(runs, arm)) is not None}
    kept: np.ndarray | slice = slice(None)
    if runs.baseline in found:
        unseen = ~np.any(found[runs.baseline][1], axis=0)
        if unseen.any():
            kept = unseen
    return {arm: correct[:, kept] for arm, (correct, _) in found.items()}, kept


def read_answers(runs: StudyRuns, arm: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Correct or not, and whether training has the item too, (runs, items) bool each."""
    correct, seen = [], []
    for cell in runs.cells[arm]:
        table = runs.table(arm, cell, "predictions")
        if table is None:
            return None
        correct.append((table["predicted"] == table["truth"]).to_numpy(bool))
        seen.append(table["leaked"].to_numpy(bool))
    return np.stack(correct), np.stack(seen)


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
