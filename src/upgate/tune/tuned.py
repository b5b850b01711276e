"""Tuned arms for a study: the words of each arm with the values that a search chose, on validation only; the test part stays closed."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from upgate import config
from upgate.errors import UserError
from upgate.run.command import Library
from upgate.run.execute import Interrupted
from upgate.run.store import Store
from upgate.study.result import Arm
from upgate.tune.asked import Asked
from upgate.tune.command import go
from upgate.tune.optuna_side import Record
from upgate.tune.plan import plan_arms
from upgate.tune.search import Stopped
from upgate.tune.space import replaced, space_of


def tuned_words(
    arms: Sequence[Arm], asked: Asked, extra: str | None, library: Library, store: Store, console: Console
) -> dict[str, list[str]]:
    """Arm -> its words, tuned: every arm with the same number of trials on one shared list; an arm of no complete trial stays as it is.

    `asked`: Asked(trials=20) and the like; the split in the arms' words says which test part stays closed. Goes on where it stopped, as
    `upgate tune` does. Raises UserError, Interrupted, and Stopped where runs are missing.
    """
    planned = plan_arms(replace(asked, test=False), arms, [], extra, library)
    record = Record(asked.storage, store.root)
    record.prepare()
    result, _ = go(planned, extra, library, store, record, console)
    chosen = {arm.name: arm.best for arm in result.blocks[0].arms}
    return {arm.name: replaced(arm.words, best.words) if (best := chosen[arm.name]) else list(arm.words) for arm in arms}


def tune_first(arms: Sequence[Arm], trials: int, extra: str | None, library: Library, console: Console) -> dict[str, list[str]] | None:
    """What study.tune=TRIALS asks for: each arm's parts tuned; model and batch size stay alike in all arms. None where interrupted."""
    composed = [config.compose(arm.words, extra) for arm in arms]
    shared = {dim.key: None for one in composed for dim in space_of(one, {}, None) if dim.key.partition(".")[0] not in config.PARTS}
    store = Store(Path(str(composed[0]["root"])).resolve())
    store.prepare()
    store.reconcile()
    try:
        return tuned_words(arms, Asked(trials=trials, space=shared), extra, library, store, console)
    except Interrupted:
        return None
    except Stopped:
        raise UserError("runs of the search failed, see above; nothing of the study was trained") from None
