"""A study and the store's rows in, its result out: a pure function, so that any machine with the store says the same.

A seed counts where every fold of it is there, for the arm and for the baseline; what is missing is listed, never guessed.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

import numpy as np
import pandas as pd

from upgate.stats.attribution import attribute, bounded, shapley_weights
from upgate.stats.paired import Floats, differences
from upgate.stats.verdict import Verdict, verdicts
from upgate.store.record import Row
from upgate.study.result import (
    LOG,
    ArmVerdict,
    Attributed,
    Control,
    Cost,
    Interaction,
    Study,
    StudyResult,
)
from upgate.study.text import sentence
from upgate.tasks.registry import get_task
from upgate.tasks.significance import BeyondSeeds, Cell, StudyRuns

Tables = Callable[[Row, str], pd.DataFrame]
Runs = dict[str, dict[tuple[int, int], Row]]  # arm -> (seed, fold) -> its FINISHED run
Scores = dict[
    str, dict[int, float]
]  # arm -> seed -> score in the study's scale; only seeds of which every fold is there

EXACTLY = (
    "exactly the baseline's numbers"  # what a control that must change nothing is expected to give
)


def judge(study: Study, rows: Iterable[Row], tables: Tables) -> StudyResult:
    """Judge a study. rows: all of the store's of that task; tables: a run's table by name, asked for of runs that did not diverge."""
    every = [row for row in rows if row.status == "FINISHED" and not row.is_parent]
    runs = runs_of(study, every)
    scores = scores_of(study, runs)
    gaps = {arm.name: gaps_of(study, scores, arm.name, study.seeds) for arm in study.arms[1:]}
    gaps = {name: found for name, found in gaps.items() if found}
    aa = {study.aa.name: gaps_of(study, scores, study.aa.name, study.aa_seeds)} if study.aa else {}
    judged = arm_verdicts(study, gaps, scores)
    attribution, parts = parts_of(study, scores, runs)
    result = StudyResult(
        study=study,
        sentence="",
        verdicts=judged,
        parts=parts,
        aa=next(
            iter(arm_verdicts(study, {name: found for name, found in aa.items() if found}, scores)),
            None,
        ),
        controls=[zero_control(study, runs)] if study.zero else [],
        attribution=attribution,
        baseline_score=metric_mean(study, scores.get(study.baseline, {}).values()),
        references=references_of(study, runs),
        scores={
            name: {str(seed): back(study, one) for seed, one in found.items()}
            for name, found in scores.items()
        },
        differences={
            name: {str(seed): one for seed, one in found.items()}
            for name, found in (aa | gaps).items()
        },
        folds={name: folds_of(study, runs, name) for name in gaps},
        **vars(beyond_seeds(study, runs, tables)),
        engagement={name: engagement_of(found.values()) for name, found in runs.items() if found},
        cost={
            name: cost_of(found, runs.get(study.baseline, {}))
            for name, found in runs.items()
            if found
        },
        diverged={
            name: sum(row.diverged for row in found.values()) for name, found in runs.items()
        },
        missing={
            name: [cell for cell in cells if at(cell) not in runs[name]]
            for name, cells in study.keys.items()
        },
        looks=sum(looked(row, study.data, study.frozen["split"]) for row in every),
        seconds=float(
            sum(
                row.metrics.get("seconds", 0.0) for found in runs.values() for row in found.values()
            )
        ),
    )
    return replace(result, sentence=sentence(result))


def runs_of(study: Study, rows: Sequence[Row]) -> Runs:
    """The newest FINISHED run of every key; an arm may have none."""
    newest = {row.key: row for row in reversed(rows)}
    return {
        arm: {at(cell): newest[key] for cell, key in keys.items() if key in newest}
        for arm, keys in study.keys.items()
    }


def at(cell: str) -> tuple[int, int]:
    seed, fold = cell.split("/")
    return int(seed), int(fold)


def score(study: Study, row: Row) -> float:
    """A run's metric in the study's scale; a diverged one's is the worst there is."""
    worst = -math.inf if study.higher_is_better else math.inf
    value = worst if row.diverged else row.metrics.get(study.metric, worst)
    if study.scale != LOG:
        return value
    return math.log(value) if value > 0 else -math.inf


def back(study: Study, scaled: float) -> float:
    return math.exp(scaled) if study.scale == LOG else scaled


def metric_mean(study: Study, scaled: Iterable[float]) -> float:
    """The mean in the study's scale, in the metric's units: a geometric mean for ratios; nan of nothing."""
    found = list(scaled)
    return back(study, fmean(found)) if found else math.nan


def scores_of(study: Study, runs: Runs) -> Scores:
    """One score per seed: the mean over folds, if all are there."""
    scores: Scores = {}
    for arm, found in runs.items():
        for seed in dict.fromkeys(at(cell)[0] for cell in study.keys[arm]):
            values = [
                score(study, found[seed, fold]) for fold in study.folds if (seed, fold) in found
            ]
            if len(values) == len(study.folds):
                scores.setdefault(arm, {})[seed] = fmean(values)
    return scores


def gaps_of(study: Study, scores: Scores, arm: str, seeds: Sequence[int]) -> dict[int, float]:
    """Arm minus baseline per seed; an A/A arm's seeds stand beside the baseline's in order."""
    own, base = scores.get(arm, {}), scores.get(study.baseline, {})
    pairs = [
        (mine, theirs)
        for mine, theirs in zip(seeds, study.seeds, strict=True)
        if mine in own and theirs in base
    ]
    found = differences([own[mine] for mine, _ in pairs], [base[theirs] for _, theirs in pairs])
    return {mine: float(gap) for (mine, _), gap in zip(pairs, found, strict=True)}


def better(study: Study) -> str:
    return "higher" if study.higher_is_better else "lower"


def arm_verdicts(
    study: Study, gaps: Mapping[str, Mapping[int, float]], scores: Scores
) -> list[ArmVerdict]:
    found = verdicts(
        {name: list(one.values()) for name, one in gaps.items()},
        study.margin,
        study.alpha,
        better(study),
    )
    return [
        as_verdict(name, one, metric_mean(study, scores[name].values()))
        for name, one in found.items()
    ]


def as_verdict(name: str, one: Verdict, score: float) -> ArmVerdict:
    return ArmVerdict(
        name,
        one.label,
        one.effect,
        one.low,
        one.high,
        one.p,
        one.p_exact,
        one.p_holm,
        one.n,
        one.more_seeds,
        one.diverged,
        score,
    )


def parts_of(
    study: Study, scores: Scores, runs: Runs
) -> tuple[Attributed | None, list[ArmVerdict]]:
    """The whole difference shared out over the parts, and each share judged; nothing while an arm has no seed in common with the others."""
    seeds = [
        seed for seed in study.seeds if all(seed in scores.get(arm.name, {}) for arm in study.arms)
    ]
    values = (
        np.array([[scores[arm.name][seed] for seed in seeds] for arm in study.arms])
        if seeds
        else np.zeros((0, 0))
    )
    if not study.parts or not np.isfinite(values).any():
        return None, []
    on = [frozenset(arm.on) for arm in study.arms]
    found = attribute(study.parts, on, values, better(study), study.alpha)
    seconds = attribute(study.parts, on, log_seconds(study, runs, seeds), "lower", study.alpha)
    weights = shapley_weights(np.array([[part in arm for part in study.parts] for arm in on]))
    per_seed = dict(zip(study.parts, weights @ bounded(values, better(study))[0], strict=True))
    judged = verdicts(per_seed, study.margin, study.alpha, better(study))
    attributed = Attributed(
        whole=found.full,
        shares=found.shares,
        remainder=found.remainder,
        interactions=[
            Interaction([list(pair) for pair in pairs], effect)
            for pairs, effect in found.interactions.items()
        ],
        diverged=found.diverged,
        seconds={part: share.share for part, share in seconds.shares.items()},
    )
    return attributed, [as_verdict(name, one, math.nan) for name, one in judged.items()]


def log_seconds(study: Study, runs: Runs, seeds: Sequence[int]) -> Floats:
    """(arms, seeds): log of the seconds of training, all folds together."""
    cells = [
        [[runs[arm.name][seed, fold] for fold in study.folds] for seed in seeds]
        for arm in study.arms
    ]
    return np.log(
        [
            [max(sum(row.metrics.get("seconds", 0.0) for row in found), 1e-3) for found in arm]
            for arm in cells
        ]
    )


def zero_control(study: Study, runs: Runs) -> Control:
    """The largest difference of any score between joint and independent updates; it must be 0, to the last bit."""
    assert study.zero is not None
    cell = (study.seeds[0], study.folds[0])
    own, base = runs.get(study.zero.name, {}).get(cell), runs.get(study.baseline, {}).get(cell)
    gap = None
    if own is not None and base is not None:
        names = [name for name in base.metrics if name.startswith(("test/", "val/"))]
        gap = float(
            np.abs(
                differences(
                    [own.metrics.get(n, math.inf) for n in names], [base.metrics[n] for n in names]
                )
            ).max(initial=0.0)
        )
    return Control(
        study.zero.name, study.zero.words, EXACTLY, gap, None if gap is None else gap == 0
    )


def references_of(study: Study, runs: Runs) -> dict[str, float]:
    """The metric of what stands beside every run, pooled over folds as the arms are; the same for all seeds."""
    found = runs.get(study.baseline, {}) or next(iter(runs.values()), {})
    part, _, name = study.metric.partition("/")
    per_fold: dict[str, dict[int, float]] = {}
    for (_, fold), row in found.items():
        for key, value in row.metrics.items():
            if key.startswith(f"{part}/") and key.endswith(f"/{name}") and key.count("/") == 2:
                per_fold.setdefault(key.split("/")[1], {})[fold] = value
    scale = math.log if study.scale == LOG else float
    return {
        key: metric_mean(study, [scale(value) for value in values.values()])
        for key, values in per_fold.items()
    }


def folds_of(study: Study, runs: Runs, arm: str) -> dict[str, float]:
    """Mean difference over seeds in each fold; infinite where a run diverged."""
    own, base = runs[arm], runs.get(study.baseline, {})
    means = {}
    for fold in study.folds:
        seeds = [seed for seed in study.seeds if (seed, fold) in own and (seed, fold) in base]
        gaps = differences(
            [score(study, own[seed, fold]) for seed in seeds],
            [score(study, base[seed, fold]) for seed in seeds],
        )
        if len(gaps):
            with np.errstate(invalid="ignore"):  # opposite divergences: nan
                means[str(fold)] = float(gaps.mean())
    return means


def beyond_seeds(study: Study, runs: Runs, tables: Tables) -> BeyondSeeds:
    """What test dates and test items say, for the arms of which every run is finished."""
    cells = {arm.name: [at(cell) for cell in study.keys[arm.name]] for arm in study.arms}
    complete = {
        arm: found for arm, found in cells.items() if all(cell in runs[arm] for cell in found)
    }

    def table(arm: str, cell: Cell, name: str) -> pd.DataFrame | None:
        row = runs[arm][cell]
        return None if row.diverged else tables(row, name)

    settings = study.frozen["task"]
    arms = StudyRuns(study.baseline, complete, study.folds, study.alpha, settings, table)
    return get_task(study.task).significance(arms)


def engagement_of(rows: Iterable[Row]) -> dict[str, float]:
    found = list(rows)
    names = sorted(
        {name for row in found for name in row.metrics if name.startswith("engagement/")}
    )
    return {
        name.removeprefix("engagement/"): fmean(
            [row.metrics[name] for row in found if name in row.metrics]
        )
        for name in names
    }


def cost_of(own: Mapping[tuple[int, int], Row], base: Mapping[tuple[int, int], Row]) -> Cost:
    def mean(name: str, found: Mapping[tuple[int, int], Row]) -> float:
        return fmean([row.metrics.get(name, math.nan) for row in found.values()] or [math.nan])

    seconds, reference = mean("seconds", own), mean("seconds", base)
    ratio = seconds / reference if reference > 0 else math.nan
    return Cost(
        seconds, ratio, mean("seconds_per_step", own), mean("steps", own), mean("epochs", own)
    )


def looked(row: Row, data: str, split: Mapping[str, Any]) -> bool:
    """Whether a run was judged on a test part: the same data and split, and not closed, as it is while hyperparameters are chosen."""
    same = all(row.params.get(f"split.{name}") == str(value) for name, value in split.items())
    return same and row.tags.get("upgate.data") == data and row.params.get("split.closed") != "True"
