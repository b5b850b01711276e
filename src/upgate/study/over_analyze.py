"""One answer over the studies of several data sets: a pure function of their results."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.stats import norm

from upgate.stats.data_sets import FEWEST_SETS, Combined, Effect, Terms, as_family, combine
from upgate.stats.estimate import Estimate, Floats
from upgate.stats.power import seeds_needed
from upgate.stats.verdict import Verdict, without_word
from upgate.store.store import Store
from upgate.study.analyze import analyze, to_arm_verdict
from upgate.study.load import Experiment, count_undeclared, load_study, table_reader
from upgate.study.over_result import DataSet, NewDataSet, OverResult
from upgate.study.over_text import summarize_over
from upgate.study.result import ArmVerdict, Study, StudyResult
from upgate.study.text import main_verdict

FEWEST_DAYS = 20  # shared by two data sets, from which on their correlation is estimated


def analyze_over(store: Store, experiment: Experiment) -> OverResult:
    """The answer over the data sets of an experiment, made anew from the store."""
    rows, read = store.rows(task=experiment.task), table_reader(store)
    results = {
        name: analyze(count_undeclared(store, load_study(store, study_id)), rows, read)
        for name, study_id in experiment.studies.items()
    }
    return combine_studies(experiment, results)


def combine_studies(experiment: Experiment, results: Mapping[str, StudyResult]) -> OverResult:
    """The answer over the results, by name of the data set."""
    question = common_question(experiment, results)
    primary = question.primary_arm
    one, found = combine_arm(primary, question, results, 1)
    result = OverResult(
        experiment=experiment,
        question=question,
        sentence="",
        sets=[describe_set(name, result) for name, result in results.items()],
        together=None if one is None else to_arm_verdict(primary, one, math.nan),
        new=expect_new(found),
        spread=math.sqrt(found.random.tau2) if found else math.nan,
        others=combine_others(question, results, one),
        correlation=mean_correlation(primary, list(results.values())),
        more_sets=None if one is None else more_sets(one),
        complete=all(result.complete for result in results.values()),
        seconds=sum(result.seconds for result in results.values()),
    )
    return replace(result, sentence=summarize_over(result))


def common_question(experiment: Experiment, results: Mapping[str, StudyResult]) -> Study:
    """The first study without what is its own, and the largest smallest effect of all.

    Looks that no plan declared, at any data set, cost the answer's level too.
    """
    studies = [result.study for result in results.values()]
    undeclared = sorted({seeds for study in studies for seeds in study.undeclared})
    return replace(
        studies[0],
        id=experiment.id,
        overrides=experiment.overrides,
        keys={},
        data="",
        source="",
        smallest_effect=max(study.smallest_effect for study in studies),
        commands=experiment.commands,
        undeclared=undeclared,
    )


def describe_set(name: str, result: StudyResult) -> DataSet:
    study = result.study
    scores = {study.baseline: result.baseline_score}
    return DataSet(
        name=name,
        study=study.id,
        source=study.source,
        data=study.data,
        verdict=main_verdict(result),
        baseline_score=result.baseline_score,
        scores=scores | {one.arm: one.score for one in result.verdicts},
        missing=sum(map(len, result.missing.values())),
        looks=result.looks,
    )


def combine_arm(
    arm: str, question: Study, results: Mapping[str, StudyResult], family: int
) -> tuple[Verdict | None, Combined | None]:
    """The arm over the data sets that have an effect of it; None where none has."""
    terms = Terms(question.margin, question.level, question.better, family)
    effects = []
    for name, result in results.items():
        one = next((verdict for verdict in result.verdicts if verdict.arm == arm), None)
        if one is not None:
            effects.append(to_effect(name, one))
    if not effects:
        return None, None
    names = [effect.dataset for effect in effects]
    return combine(effects, terms, error_correlations(arm, [results[name] for name in names]))


def error_correlations(arm: str, results: Sequence[StudyResult]) -> Floats | None:
    """(data sets, data sets): how the losses of data sets move together, day by day.

    Of the arm's loss minus the baseline's on the days that two data sets share, times the share of
    their days that these are. None where no days are shared, and for data without dates. The
    errors have a part that stems from seeds too, which is not correlated: so this is an upper
    bound.
    """
    series = []
    for i, result in enumerate(results):
        own, base = result.losses.get(arm), result.losses.get(result.study.baseline)
        if own is None or base is None or not len(own) == len(base) == len(result.dates):
            return None
        d = pd.Series(np.subtract(own, base), index=list(result.dates), name=str(i))
        series.append(d.groupby(level=0).mean())
    frame = pd.concat(series, axis=1)
    known = frame.notna().to_numpy(float)
    shared, days = known.T @ known, known.sum(axis=0)
    share = shared / np.sqrt(np.outer(days, days))
    found = frame.corr(min_periods=FEWEST_DAYS).fillna(0.0).to_numpy() * share
    np.fill_diagonal(found, 1.0)
    return found if (found != np.eye(len(found))).any() else None


def mean_correlation(arm: str, results: Sequence[StudyResult]) -> float:
    """Of all pairs of data sets; nan where they share no days."""
    found = error_correlations(arm, results)
    return math.nan if found is None else float(found[np.triu_indices(len(found), 1)].mean())


def more_sets(one: Verdict) -> int | None:
    """Data sets to add for a decision with 80% power, if effect and spread stay as measured.

    None for a decided answer, and where no number up to 10,000 would do.
    """
    if one.label != "undecided" or not math.isfinite(one.error):
        return None
    size = abs(one.effect) / max(one.error * math.sqrt(one.n), 1e-300)
    needed = seeds_needed(size, alpha=one.level)
    return None if needed is None else max(needed, FEWEST_SETS, one.n + 1) - one.n


def to_effect(name: str, one: ArmVerdict) -> Effect:
    """The arm's effect on one data set with its standard error.

    Where runs collapsed the interval is wider than that of the other seeds' mean; the error then is
    the one that a normal interval of that width has.
    """
    error = one.error
    if one.collapsed and math.isfinite(error):
        error = max(error, (one.high - one.low) / 2 / float(norm.isf(one.level / 2)))
    estimate = Estimate(one.effect, one.low, one.high, one.p, one.n)
    return Effect(name, estimate, error, one.diverged, one.collapsed)


def expect_new(found: Combined | None) -> NewDataSet | None:
    if found is None:
        return None
    return NewDataSet(found.random.prediction_low, found.random.prediction_high, *found.new)


def combine_others(
    question: Study, results: Mapping[str, StudyResult], gate: Verdict | None
) -> list[ArmVerdict]:
    """The arms that are not primary: labels as in one study, by the same gate and family."""
    names = [arm.name for arm in question.arms[1:] if arm.name != question.primary_arm]
    combined = {name: combine_arm(name, question, results, len(names))[0] for name in names}
    judged = {name: one for name, one in combined.items() if one is not None}
    if not judged:
        return []
    closed = bool(question.parts) or gate is None or gate.label == "undecided"
    family = judged if closed else as_family(judged, question.level)
    return [
        to_arm_verdict(name, without_word(one) if closed else one, math.nan)
        for name, one in family.items()
    ]
