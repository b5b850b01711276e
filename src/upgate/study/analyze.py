"""A study and the store's rows in, its result out.

A pure function, so that any machine with the store gets the same result. What is missing is listed,
never guessed.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from statistics import fmean

import numpy as np
import pandas as pd

from upgate.experiment.designs import Arm
from upgate.experiment.records import count_looks, finished_runs
from upgate.stats.attribution import attribute
from upgate.stats.paired import differences
from upgate.stats.verdict import Verdict
from upgate.store.record import Row
from upgate.study.judge import Judge
from upgate.study.result import (
    ArmVerdict,
    Attributed,
    Control,
    Cost,
    Interaction,
    Study,
    StudyResult,
)
from upgate.study.scores import (
    Runs,
    Scores,
    Tables,
    common_seeds,
    decide_by_unseen,
    fold_differences,
    log_seconds,
    parse_cell,
    pool_metric,
    reference_metrics,
    seed_differences,
    seed_scores,
    select_runs,
)
from upgate.study.text import summarize_study
from upgate.tasks.names import get_facts
from upgate.tasks.significance import Cell, StudyRuns

Cells = Mapping[Cell, Row]  # of an arm
EXACTLY = "exactly the baseline's numbers"  # expected of a control that must change nothing

Differences = dict[str, dict[int, float]]  # arm -> seed -> arm minus baseline


def analyze(study: Study, rows: Iterable[Row], tables: Tables) -> StudyResult:
    """Judge a study. rows: all of the task's in the store, newest first."""
    finished = finished_runs(rows)
    runs = select_runs(study, finished)
    looks = count_looks(finished, study.data, study.frozen["split"])
    result = judge_runs(decide_by_unseen(study, runs), runs, tables, looks)
    return replace(result, sentence=summarize_study(result))


def judge_runs(study: Study, runs: Runs, tables: Tables, looks: int) -> StudyResult:
    """The result of a study's runs, without its sentence. looks: of all runs at the test part."""
    scores = seed_scores(study, runs)
    arms, aa = arm_differences(study, scores), aa_differences(study, scores)
    beyond = get_facts(study.task).significance(complete_runs(study, runs, tables, study.arms))
    judge = make_judge(study, runs, scores, tables)
    judged = judge.arms(arms)
    attribution, parts = attribute_parts(judge, runs, judged.get(study.primary_arm))
    references = reference_metrics(study, runs)
    return StudyResult(
        study=study,
        sentence="",
        verdicts=to_arm_verdicts(study, judged, scores),
        parts=parts,
        aa=next(iter(to_arm_verdicts(study, judge.control(aa), scores)), None),
        controls=[check_zero_control(study, runs)] if study.zero else [],
        attribution=attribution,
        baseline_score=pool_metric(study, scores.get(study.baseline, {}).values()),
        against_references=to_reference_verdicts(study, judge.references(references), scores),
        reliability=judge.reliability(aa | arms),
        references=references,
        scores=unscaled_scores(study, scores),
        differences={name: _by_text(values) for name, values in (aa | arms).items()},
        folds={name: fold_differences(study, runs, name) for name in arms},
        significance=beyond.second,
        confidence_set=beyond.confidence_set,
        tickers=beyond.tickers,
        ticker_interval=beyond.ticker_interval,
        dates=beyond.dates,
        losses=beyond.losses,
        engagement={name: mean_engagement(cells.values()) for name, cells in runs.items() if cells},
        cost=mean_costs(runs, runs.get(study.baseline, {})),
        diverged={name: count_diverged(cells) for name, cells in runs.items()},
        missing={name: missing_cells(study, runs, name) for name in study.keys},
        looks=looks,
        seconds=total_seconds(runs),
    )


def make_judge(study: Study, runs: Runs, scores: Scores, tables: Tables) -> Judge:
    """The judge of these scores, with what the test units say where every run has its tables."""
    controls = [study.aa] if study.aa is not None else []
    complete = complete_runs(study, runs, tables, [*study.arms, *controls])
    return Judge(study, scores, get_facts(study.task).unit_scores(complete))


def arm_differences(study: Study, scores: Scores) -> Differences:
    """Of every arm that shares a seed with the baseline."""
    by_arm = {
        arm.name: seed_differences(study, scores, arm.name, study.seeds) for arm in study.arms[1:]
    }
    return {name: values for name, values in by_arm.items() if values}


def aa_differences(study: Study, scores: Scores) -> Differences:
    """Of the A/A control; empty before it has a seed."""
    if study.aa is None:
        return {}
    values = seed_differences(study, scores, study.aa.name, study.aa_seeds)
    return {study.aa.name: values} if values else {}


def pick_seeds(values: Mapping[int, float], seeds: Iterable[int]) -> list[float]:
    """The values of these seeds, in their order."""
    return [values[seed] for seed in seeds]


def to_arm_verdicts(
    study: Study, judged: Mapping[str, Verdict], scores: Scores
) -> list[ArmVerdict]:
    return [
        to_arm_verdict(name, one, pool_metric(study, scores[name].values()))
        for name, one in judged.items()
    ]


def to_reference_verdicts(
    study: Study, judged: Mapping[str, Verdict], scores: Scores
) -> dict[str, ArmVerdict]:
    """The primary arm against every reference."""
    arm = study.primary_arm
    score = pool_metric(study, scores.get(arm, {}).values())
    return {name: to_arm_verdict(arm, one, score) for name, one in judged.items()}


def to_arm_verdict(name: str, one: Verdict, score: float) -> ArmVerdict:
    return ArmVerdict(
        arm=name,
        verdict=one.label,
        effect=one.effect,
        low=one.low,
        high=one.high,
        p=one.p,
        p_exact=one.p_exact,
        p_holm=one.p_holm,
        n=one.n,
        more_seeds=one.more_seeds,
        diverged=one.diverged,
        score=score,
        more_data=one.more_data,
        collapsed=one.collapsed,
        level=one.level,
        over=one.over,
        error=one.error,
    )


def attribute_parts(
    judge: Judge, runs: Runs, primary: Verdict | None
) -> tuple[Attributed | None, list[ArmVerdict]]:
    """The full difference attributed to the parts, and each share judged.

    Nothing while the arms have no seed in common.
    """
    study, scores = judge.study, judge.scores
    seeds = common_seeds(study, scores)
    values = np.zeros((0, 0))
    if seeds:
        values = np.array([pick_seeds(scores[arm.name], seeds) for arm in study.arms])
    if not study.parts or not np.isfinite(values).any():
        return None, []
    on = [frozenset(arm.on) for arm in study.arms]
    orders, times = study.part_orders, log_seconds(study, runs, seeds)
    effects = attribute(study.parts, on, values, study.better, study.level, orders)
    seconds = attribute(study.parts, on, times, "lower", study.alpha, orders)
    attributed = Attributed(
        full=effects.full,
        shares=effects.shares,
        remainder=effects.remainder,
        interactions=[
            Interaction(list(map(list, pairs)), effect)
            for pairs, effect in effects.interactions.items()
        ],
        diverged=effects.diverged,
        exact=effects.exact,
        small_remainder=effects.method != "main" or judge.small_remainder(seeds),
        method=effects.method,
        seconds={part: share.share for part, share in seconds.shares.items()},
    )
    judged = judge.parts(effects, seeds, primary)
    return attributed, [to_arm_verdict(name, one, math.nan) for name, one in judged.items()]


def check_zero_control(study: Study, runs: Runs) -> Control:
    """The largest difference of any score between joint and independent updates.

    It must be 0, to the last bit.
    """
    assert study.zero is not None
    cell = (study.seeds[0], study.folds[0])
    own, base = runs.get(study.zero.name, {}).get(cell), runs.get(study.baseline, {}).get(cell)
    difference = None
    if own is not None and base is not None:
        names = [name for name in base.metrics if name.startswith(("test/", "val/"))]
        values = differences(
            [own.metrics.get(name, math.inf) for name in names],
            [base.metrics[name] for name in names],
        )
        difference = float(np.abs(values).max(initial=0.0))
    holds = None if difference is None else difference == 0
    return Control(study.zero.name, study.zero.overrides, EXACTLY, difference, holds)


def complete_runs(study: Study, runs: Runs, tables: Tables, arms: Sequence[Arm]) -> StudyRuns:
    """Those of the arms of which every run is finished, with their tables."""
    cells = {}
    for arm in arms:
        if not missing_cells(study, runs, arm.name):
            cells[arm.name] = [parse_cell(cell) for cell in study.keys[arm.name]]

    def table(arm: str, cell: Cell, name: str) -> pd.DataFrame | None:
        row = runs[arm][cell]
        return None if row.diverged else tables(row, name)

    return StudyRuns(study.baseline, cells, study.folds, study.level, study.frozen["task"], table)


def missing_cells(study: Study, runs: Runs, arm: str) -> list[str]:
    """The "seed/fold" that the store does not have."""
    return [cell for cell in study.keys[arm] if parse_cell(cell) not in runs[arm]]


def unscaled_scores(study: Study, scores: Scores) -> dict[str, dict[str, float]]:
    """Arm -> seed -> score in the metric's units."""
    unscaled = {}
    for name, values in scores.items():
        unscaled[name] = {str(seed): study.unscaled(value) for seed, value in values.items()}
    return unscaled


def mean_engagement(rows: Iterable[Row]) -> dict[str, float]:
    """What the parts did: each engagement metric's mean over the runs that have it."""
    values: dict[str, list[float]] = {}
    for row in rows:
        for name, value in row.metrics.items():
            if name.startswith("engagement/"):
                values.setdefault(name.removeprefix("engagement/"), []).append(value)
    return {name: fmean(values[name]) for name in sorted(values)}


def mean_costs(runs: Runs, base: Cells) -> dict[str, Cost]:
    """By arm that has runs."""
    return {name: mean_cost(cells, base) for name, cells in runs.items() if cells}


def mean_cost(own: Cells, base: Cells) -> Cost:
    """Means over an arm's runs, beside the baseline's seconds; nan where nothing is known."""
    seconds, baseline = _mean(own, "seconds"), _mean(base, "seconds")
    return Cost(
        seconds=seconds,
        ratio=seconds / baseline if baseline > 0 else math.nan,
        seconds_per_step=_mean(own, "seconds_per_step"),
        steps=_mean(own, "steps"),
        epochs=_mean(own, "epochs"),
    )


def count_diverged(cells: Cells) -> int:
    return sum(row.diverged for row in cells.values())


def total_seconds(runs: Runs) -> float:
    """Of training, all runs together."""
    rows = chain.from_iterable(cells.values() for cells in runs.values())
    return float(sum(row.metrics.get("seconds", 0.0) for row in rows))


def _mean(cells: Cells, name: str) -> float:
    return fmean([row.metrics.get(name, math.nan) for row in cells.values()] or [math.nan])


def _by_text(values: Mapping[int, float]) -> dict[str, float]:
    return {str(seed): value for seed, value in values.items()}
