"""After the choice: the winner and the untuned recipe, each trained on train + validation for its own number of steps, tested once."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

import pandas as pd

from upgate.config import compose as config
from upgate.config.values import Choice
from upgate.experiment.jobs import make_job
from upgate.recipe.stopping import EarlyStopping
from upgate.run.job import Job
from upgate.run.result import Result
from upgate.store.record import Row
from upgate.study.analyze import looked
from upgate.tasks.search_blocks import Block
from upgate.tune.plan import job_at
from upgate.tune.result import TUNED, UNTUNED, Search, Tunable
from upgate.tune.search import Context
from upgate.tune.space import replaced
from upgate.tune.trial import COMPLETE, Trial

LISTENERS = (
    ("schedule", "plateau"),
    ("optimizer", "nt_asgd"),
)  # they follow the validation loss, which a refit has trained on
OURS = re.compile(
    r"(stopping[.=]|trainer\.(max_steps|min_steps|min_epochs)=)"
)  # a last run says its length itself

Curve = Callable[[Result], pd.DataFrame]


def listens(composed: Mapping[str, Any]) -> bool:
    """Whether a recipe needs a validation part that it does not train on."""
    return any(composed[group]["name"] == name for group, name in LISTENERS)


def best_step(result: Result, curve: pd.DataFrame, stopping: Choice) -> float:
    """The step whose weights a run kept: of early stopping the best epoch's, else the last."""
    steps, epochs = result.metrics["steps"], result.metrics["epochs"]
    if stopping.name != "early" or not len(curve):
        return steps
    watch = EarlyStopping(
        patience=len(curve) + 1, min_delta=float(str(stopping.knobs["min_delta"]))
    )
    for epoch, value in enumerate(curve["val/score"]):
        watch.update(float(value), epoch)
    return steps * (watch.best_epoch + 1) / epochs


def mean_step(results: Sequence[Result], curve: Curve, stopping: Choice) -> int:
    """The chosen number of steps: the mean over folds and seeds."""
    return max(1, round(fmean(best_step(result, curve(result), stopping) for result in results)))


def last_words(
    arm: Tunable, trial: Trial, steps: int, block: Block, extra: str | None
) -> list[str]:
    """The words of a last run. The schedule is laid over its steps; what follows the validation loss is trained as in the search."""
    words = replaced(arm.words, trial.words)
    if listens(config.compose(words, extra)):
        return [*words, *block.final]
    kept = [word for word in words if not OURS.match(word)]
    return [*kept, *block.final, "split.refit=true", "stopping=none", f"trainer.max_steps={steps}"]


def last_jobs(
    context: Context, block: Block, arm: Tunable, which: str, words: Sequence[str]
) -> list[Job]:
    job = make_job(words, context.library, context.extra)
    job = replace(
        job, changes=(*config.find_part_changes(arm.words), which)
    )  # the run's name, a title too: the values would not fit
    return [
        job_at(job, context.search.test_seed, fold, context.parents[arm.name])
        for fold in block.tests
    ]


def candidates(trials: Sequence[Trial], chosen: int | None) -> dict[str, Trial]:
    """What is tested: the baseline, and the winner, each where it is complete."""
    found = {UNTUNED: trials[0]} if trials and trials[0].state == COMPLETE else {}
    winner = next((trial for trial in trials if trial.number == chosen), None)
    return found if winner is None else found | {TUNED: winner}


def looks(search: Search, rows: Sequence[Row]) -> int:
    """Finished runs of the store that were judged on this test part."""
    return sum(
        row.status == "FINISHED" and not row.is_parent and looked(row, search.data, search.split)
        for row in rows
    )
