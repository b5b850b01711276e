"""Tuned arms for a study: the words of each arm with the values that a search chose, on validation only; the test part stays closed."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from upgate.config import compose as config
from upgate.errors import UserError
from upgate.execution.work import Interrupted
from upgate.run.datasets import Datasets
from upgate.store.store import Store
from upgate.study.result import Arm
from upgate.tune import text as say
from upgate.tune.command import expected, go
from upgate.tune.options import Asked
from upgate.tune.optuna_adapter import Record
from upgate.tune.plan import Plan, plan_arms
from upgate.tune.search import SearchStopped
from upgate.tune.space import replaced, space_of


def search_of(
    arms: Sequence[Arm],
    trials: int,
    seeds: Sequence[int],
    extra: str | None,
    library: Datasets,
    console: Console,
) -> Plan:
    """What study.tune=TRIALS asks for, told: each arm's parts tuned; model and batch size stay alike in all arms.

    seeds: the study's, none of which the search may use; its own begin at the next hundred.
    """
    composed = [config.compose(arm.words, extra) for arm in arms]
    shared = {
        dim.key: None
        for one in composed
        for dim in space_of(one, {}, None)
        if dim.key.partition(".")[0] not in config.PARTS
    }
    planned = plan_arms(
        Asked(trials=trials, space=shared, seed=max(seeds) // 100, test=False),
        arms,
        [],
        extra,
        library,
    )
    with console.status("trying every recipe out for two steps"):
        seconds, done, measured = expected(planned, store_of(planned), library, console)
    say.tell(console, planned.search, seconds, done, measured)
    return planned


def store_of(planned: Plan) -> Store:
    return Store(Path(planned.first[planned.search.arms[0].name].config.root).resolve())


def tuned_words(
    planned: Plan, arms: Sequence[Arm], extra: str | None, library: Datasets, console: Console
) -> dict[str, list[str]]:
    """Arm -> its words, tuned: every arm with the same number of trials on one shared list.

    The split in the arms' words says which test part stays closed. Goes on where it stopped, as `upgate tune` does. Raises UserError where
    an arm has no complete trial, Interrupted, and Stopped where runs are missing.
    """
    store = store_of(planned)
    store.prepare()
    store.reconcile()
    record = Record(planned.asked.storage, store.root)
    record.prepare()
    result, _ = go(planned, extra, library, store, record, console)
    for line in [*say.chosen(result), *say.notes(result)]:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    chosen = {arm.name: arm.best for arm in result.blocks[0].arms}
    found = {
        arm.name: replaced(arm.words, best.words) for arm in arms if (best := chosen[arm.name])
    }
    if none := [arm.name for arm in arms if arm.name not in found]:
        raise UserError(
            f"{none[0]} has no trial that finished well, so there is nothing to tune it to; nothing of the study was trained"
        )
    return found


def tune_first(
    planned: Plan, arms: Sequence[Arm], extra: str | None, library: Datasets, console: Console
) -> dict[str, list[str]] | None:
    """The arms' words for the study; None where interrupted."""
    try:
        return tuned_words(planned, arms, extra, library, console)
    except Interrupted:
        return None
    except SearchStopped as stopped:
        raise UserError(
            f"the search stopped: {stopped}; nothing of the study was trained"
        ) from None
