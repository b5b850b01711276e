"""After the choice: the winner and the untuned recipe, trained on train + validation, tested once.

Each is trained for its own number of steps.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

import pandas as pd

from upgate.config.compose import find_part_changes
from upgate.config.run_config import RunConfig, compose_config
from upgate.config.values import Choice
from upgate.experiment.jobs import make_job
from upgate.recipe.stopping import EarlyStopping
from upgate.run.job import Job
from upgate.run.result import Result
from upgate.tasks.blocks import Block
from upgate.tune.result import TUNED, UNTUNED, Tunable
from upgate.tune.search import Context
from upgate.tune.space import override_all
from upgate.tune.trial import COMPLETE, Trial

# They follow the validation loss, and a refit trains on that part.
USE_VALIDATION = (("schedule", "plateau"), ("optimizer", "nt_asgd"))
LENGTHS = re.compile(r"(stopping[.=]|trainer\.(max_steps|min_steps|min_epochs)=)")

Curve = Callable[[Result], pd.DataFrame]


def uses_validation(config: RunConfig) -> bool:
    """Whether a recipe needs a validation part that it does not train on."""
    return any(config.parts[group].name == name for group, name in USE_VALIDATION)


def best_step(result: Result, curve: pd.DataFrame, stopping: Choice) -> float:
    """The step whose weights a run kept: of early stopping the best epoch's, else the last."""
    steps, epochs = result.metrics["steps"], result.metrics["epochs"]
    if stopping.name != "early" or not len(curve):
        return steps
    min_delta: Any = stopping.knobs["min_delta"]
    watch = EarlyStopping(patience=len(curve) + 1, min_delta=float(min_delta))
    for epoch, value in enumerate(curve["val/score"]):
        watch.update(float(value), epoch)
    return steps * (watch.best_epoch + 1) / epochs


def mean_step(results: Sequence[Result], curve: Curve, stopping: Choice) -> int:
    """The chosen number of steps: the mean over folds and seeds."""
    return max(1, round(fmean(best_step(result, curve(result), stopping) for result in results)))


def final_overrides(
    arm: Tunable, trial: Trial, steps: int, block: Block, config_dir: str | None
) -> list[str]:
    """The overrides of a last run.

    The schedule is laid over its steps. A recipe that uses the validation part is trained as in the
    search.
    """
    overrides = override_all(arm.overrides, trial.overrides)
    if uses_validation(compose_config(overrides, config_dir)):
        return [*overrides, *block.final]
    kept = [override for override in overrides if not LENGTHS.match(override)]
    length = ["split.refit=true", "stopping=none", f"trainer.max_steps={steps}"]
    return [*kept, *block.final, *length]


def final_jobs(
    context: Context, block: Block, arm: Tunable, which: str, overrides: Sequence[str]
) -> list[Job]:
    """The last runs of an arm, one per test fold. which: untuned or tuned, for the runs' names."""
    session = context.session
    job = make_job(overrides, session.datasets, session.config_dir)
    changes = (*find_part_changes(arm.overrides), which)
    job = replace(job, changes=changes, parent=context.parents[arm.name])
    return [job.at(context.search.test_seed, fold) for fold in block.tests]


def candidates(trials: Sequence[Trial], chosen: int | None) -> dict[str, Trial]:
    """What is tested: the baseline, and the winner, each where it is complete."""
    tested = {}
    if trials and trials[0].state == COMPLETE:
        tested[UNTUNED] = trials[0]
    winner = next((trial for trial in trials if trial.number == chosen), None)
    if winner is not None:
        tested[TUNED] = winner
    return tested
