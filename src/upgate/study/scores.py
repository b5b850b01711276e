"""From the store's rows to scores: one number per arm and seed, minus the baseline's.

A seed counts where every fold of it is finished, for the arm and for the baseline.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean

import numpy as np
import pandas as pd

from upgate.stats.paired import differences
from upgate.store.record import Row
from upgate.study.result import LOG, Study
from upgate.tasks.names import get_facts
from upgate.tasks.significance import Cell

Tables = Callable[[Row, str], pd.DataFrame]  # a run's table by its name
Runs = dict[str, dict[Cell, Row]]  # arm -> (seed, fold) -> its FINISHED run
Scores = dict[str, dict[int, float]]  # arm -> complete seed -> score in the study's scale


def select_runs(study: Study, finished: Sequence[Row]) -> Runs:
    """The newest run of every key; rows are sorted newest first. An arm may have none."""
    newest = {row.key: row for row in reversed(finished)}
    runs: Runs = {}
    for arm, keys in study.keys.items():
        runs[arm] = {parse_cell(cell): newest[key] for cell, key in keys.items() if key in newest}
    return runs


def parse_cell(cell: str) -> Cell:
    seed, fold = cell.split("/")
    return int(seed), int(fold)


def decide_by_unseen(study: Study, runs: Runs) -> Study:
    """The study by the metric without what training has too, where every run counts such items."""
    metric = get_facts(study.task).metric
    rows = [row for cells in runs.values() for row in cells.values() if not row.diverged]
    known = bool(rows) and all(metric.unseen in row.metrics for row in rows)
    return replace(study, metric=metric.unseen) if known and study.metric == metric.key else study


def score(study: Study, row: Row) -> float:
    """A run's metric in the study's scale; for a diverged one the worst possible."""
    worst = -math.inf if study.higher_is_better else math.inf
    value = worst if row.diverged else row.metrics.get(study.metric, worst)
    return study.scaled(value)


def seed_scores(study: Study, runs: Runs) -> Scores:
    """One score per seed: the mean over its folds, if all are finished."""
    scores: Scores = {}
    for arm, cells in runs.items():
        for seed in dict.fromkeys(parse_cell(cell)[0] for cell in study.keys[arm]):
            finished = [(seed, fold) for fold in study.folds if (seed, fold) in cells]
            if len(finished) == len(study.folds):
                mean = fmean(score(study, cells[cell]) for cell in finished)
                scores.setdefault(arm, {})[seed] = mean
    return scores


def seed_differences(
    study: Study, scores: Scores, arm: str, seeds: Sequence[int]
) -> dict[int, float]:
    """Arm minus baseline per seed; an A/A arm's seeds are paired with the baseline's in order."""
    own, base = scores.get(arm, {}), scores.get(study.baseline, {})
    pairs = zip(seeds, study.seeds, strict=True)
    both = [(seed, other) for seed, other in pairs if seed in own and other in base]
    values = differences([own[seed] for seed, _ in both], [base[other] for _, other in both])
    return dict(zip((seed for seed, _ in both), values.tolist(), strict=True))


def fold_differences(study: Study, runs: Runs, arm: str) -> dict[str, float]:
    """Mean difference over seeds in each fold; infinite where a run diverged."""
    own, base = runs[arm], runs.get(study.baseline, {})
    means = {}
    for fold in study.folds:
        cells = [(seed, fold) for seed in study.seeds]
        both = [cell for cell in cells if cell in own and cell in base]
        values = differences(
            [score(study, own[cell]) for cell in both], [score(study, base[cell]) for cell in both]
        )
        if len(values):
            with np.errstate(invalid="ignore"):  # opposite divergences: nan
                means[str(fold)] = float(values.mean())
    return means


def pool_metric(study: Study, scaled: Iterable[float]) -> float:
    """The mean in the study's scale, in the metric's units: geometric for ratios; nan of none."""
    values = list(scaled)
    return study.unscaled(fmean(values)) if values else math.nan


def reference_metrics(study: Study, runs: Runs) -> dict[str, float]:
    """The metric of each reference, pooled over folds as the arms' are; equal for all seeds."""
    cells = runs.get(study.baseline, {}) or next(iter(runs.values()), {})
    part, _, name = study.metric.partition("/")
    own = get_facts(study.task).own
    per_fold: dict[str, dict[int, float]] = {}
    for (_, fold), row in cells.items():
        for key, value in row.metrics.items():
            if key.startswith(f"{part}/") and key.endswith(f"/{name}") and key.count("/") == 2:
                per_fold.setdefault(key.split("/")[1], {})[fold] = value
    metrics = {}
    for reference, values in per_fold.items():
        if reference in own:
            continue
        # log without the guard of `scaled`: a reference's ratio of 0 is an error
        scaled = map(math.log, values.values()) if study.scale == LOG else values.values()
        metrics[reference] = pool_metric(study, scaled)
    return metrics


def log_seconds(study: Study, runs: Runs, seeds: Sequence[int]) -> np.ndarray:
    """(arms, seeds): log of the seconds of training, all folds together, at least a millisecond."""
    table = np.empty((len(study.arms), len(seeds)))
    for i, arm in enumerate(study.arms):
        for j, seed in enumerate(seeds):
            folds = (runs[arm.name][seed, fold] for fold in study.folds)
            table[i, j] = max(sum(row.metrics.get("seconds", 0.0) for row in folds), 1e-3)
    return np.log(table)


def common_seeds(study: Study, scores: Mapping[str, Mapping[int, float]]) -> list[int]:
    """The seeds that every arm has."""
    seeds = list(study.seeds)
    for arm in study.arms:
        seeds = [seed for seed in seeds if seed in scores.get(arm.name, {})]
    return seeds
