"""A study in MLflow: the numbers by which its own table sorts, of each arm and of the study."""

from collections.abc import Iterable, Mapping

import numpy as np

from upgate.experiment.parents import Parents
from upgate.stats.paired import paired
from upgate.store.run import Run
from upgate.study.result import ArmVerdict, Study, StudyResult
from upgate.study.text import main_verdict, signed_effect, verdict_with_seeds

NO_EXPERIMENT = {"upgate.experiment": ""}  # not an experiment's any more, if it ever was


def study_tags(study: Study, runs: int, more: Mapping[str, str]) -> dict[str, str]:
    """Tags of the study's run. more: such as the experiment that it belongs to."""
    return {
        "upgate.design": study.design,
        "upgate.data": study.data,
        "upgate.runs": str(runs),
        **more,
    }


def log_result(parents: Parents, result: StudyResult) -> None:
    """Log the numbers of all arms and of the study, and end their runs."""
    for name, run in parents.arms.items():
        log_arm(run, name, result)
        run.finish("FAILED" if result.missing[name] else "FINISHED")
    log_study(parents.parent, result)
    parents.parent.finish("FINISHED" if result.complete else "FAILED")


def log_arm(run: Run, name: str, result: StudyResult) -> None:
    """Aggregates and the effect of an arm."""
    judged = next((one for one in all_verdicts(result) if one.arm == name), None)
    numbers = run_numbers(name, result) | score_numbers(name, result)
    if name in result.cost:
        cost = result.cost[name]
        numbers |= {"seconds": cost.seconds, "seconds_ratio": cost.ratio}
    for key, value in result.engagement.get(name, {}).items():
        numbers[f"engagement/{key}"] = value
    if judged is not None:
        numbers |= effect_numbers(result.study, judged)
        run.tag({"upgate.verdict": judged.verdict})
    run.log(numbers)


def all_verdicts(result: StudyResult) -> Iterable[ArmVerdict]:
    """Of the A/A control and of the arms."""
    return [*([result.aa] if result.aa else []), *result.verdicts]


def run_numbers(name: str, result: StudyResult) -> dict[str, float]:
    planned, missing = len(result.study.keys[name]), len(result.missing[name])
    return {"runs": float(planned - missing), "diverged": float(result.diverged[name])}


def score_numbers(name: str, result: StudyResult) -> dict[str, float]:
    """The mean score, with its interval over seeds where every score is finite."""
    scores = list(result.scores.get(name, {}).values())
    if not scores:
        return {}
    numbers = {result.study.metric: float(np.mean(scores)), "n": float(len(scores))}
    estimate = paired(np.asarray(scores)) if np.isfinite(scores).all() else None
    if estimate is not None and estimate.n > 1:
        numbers |= {"score_low": estimate.low, "score_high": estimate.high}
    return numbers


def effect_numbers(study: Study, one: ArmVerdict) -> dict[str, float]:
    """effect: in percent or points. gain: the same, signed so that more is better."""
    effect, low, high = (study.shown(x) for x in (one.effect, one.low, one.high))
    gain, gain_low = (effect, low) if study.higher_is_better else (-effect, -high)
    return {
        "effect": effect,
        "effect_low": low,
        "effect_high": high,
        "gain": gain,
        "gain_low": gain_low,
        "p": one.p,
        "p_holm": one.p_holm,
    }


def log_study(run: Run, result: StudyResult) -> None:
    """The study's aggregates, its controls, and its looks at the test part."""
    study, main = result.study, main_verdict(result)
    numbers = {
        "runs": float(sum(map(len, study.keys.values()))),
        "missing": float(sum(map(len, result.missing.values()))),
        "diverged": float(sum(result.diverged.values())),
        "test_looks": float(result.looks),
        "seconds": result.seconds,
    }
    judged = {"": main, "aa_": result.aa, **{f"share/{one.arm}/": one for one in result.parts}}
    for prefix, one in judged.items():
        if one is not None:
            numbers |= {
                f"{prefix}effect": study.shown(one.effect),
                f"{prefix}effect_low": study.shown(one.low),
                f"{prefix}effect_high": study.shown(one.high),
                f"{prefix}p_holm": one.p_holm,
            }
    for control in result.controls:
        if control.difference is not None:
            numbers["zero_difference"] = control.difference
    run.log(numbers)
    verdict = main.verdict if main else ""
    if main is not None:
        unit = "%" if study.unit == "%" else f" {study.unit}"
        effect = f"{signed_effect(study, main.effect)}{unit}"
        run.rename(f"{verdict_with_seeds(main)} {effect}: study {study.id}")
    run.tag({"upgate.sentence": result.sentence, "upgate.verdict": verdict})
