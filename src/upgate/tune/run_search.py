"""A whole search: its blocks one after the other, each with its choice, and only then, where it is wanted, the look at the test part."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from upgate.run.job import read_result
from upgate.run.result import Result
from upgate.store.store import Store
from upgate.tasks.search_blocks import Block
from upgate.tune.best_of_n import curve
from upgate.tune.final import candidates, last_jobs, last_words, looks, mean_step
from upgate.tune.optuna_adapter import importance
from upgate.tune.plan import trial_job
from upgate.tune.result import ArmResult, BlockResult, SearchResult, Tunable
from upgate.tune.search import Context, Trials, run_block
from upgate.tune.trial import Trial
from upgate.tune.trial_runner import Runs


def searched(context: Context, store: Store, runs: Runs) -> SearchResult:
    """All blocks: search, choose, and only then, where it is wanted, the test."""
    search = context.search
    found: list[BlockResult] = []
    failed: list[str] = []
    for block in search.blocks:
        trials, choice = run_block(context, block)
        lasts = {
            arm.name: lasting(context, block, arm, trials[arm.name], choice[arm.name], store)
            for arm in search.arms
        }
        tests = tested(context, block, lasts, runs) if search.test else {}
        failed += [
            f"{arm} {which}"
            for (arm, which), results in tests.items()
            if any(one.status != "FINISHED" for one in results)
        ]
        found.append(
            BlockResult(
                block.name,
                [judged(context, arm, trials, choice, lasts, tests) for arm in search.arms],
            )
        )
    return SearchResult(
        search,
        found,
        failed,
        looks(search, store.rows(task=search.task)),
        sum(runs.seconds.values()),
    )


Lasts = dict[str, tuple[int, list[str]]]  # untuned, tuned -> steps and words of the last run


def lasting(
    context: Context,
    block: Block,
    arm: Tunable,
    trials: Sequence[Trial],
    choice: int | None,
    store: Store,
) -> Lasts:
    """How long the last runs go, and their words."""
    stored = stored_results(
        store, [key for one in candidates(trials, choice).values() for key in one.keys.values()]
    )

    def table(result: Result) -> pd.DataFrame:
        path = Path(result.folder) / "curve.parquet"
        return pd.read_parquet(
            path if path.exists() else store.artifact(result.run_id, path.name, path.parent)
        )

    lasts: Lasts = {}
    for which, trial in candidates(trials, choice).items():
        job = trial_job(
            arm, {} if trial.number == 0 else trial.values, block, context.extra, context.library
        )
        ended = [
            stored[key] for key in trial.keys.values() if key in stored and not stored[key].diverged
        ]
        steps = mean_step(ended, table, job.config.parts["stopping"])
        lasts[which] = (steps, last_words(arm, trial, steps, block, context.extra))
    return lasts


def stored_results(store: Store, keys: Sequence[str]) -> dict[str, Result]:
    return {key: read_result(row, store.root) for key, row in store.finished(keys).items()}


def tested(
    context: Context, block: Block, lasts: dict[str, Lasts], runs: Runs
) -> dict[tuple[str, str], list[Result]]:
    """The one look: every last run of the block, all arms together."""
    jobs = {
        (arm.name, which): last_jobs(context, block, arm, which, words)
        for arm in context.search.arms
        for which, (_, words) in lasts[arm.name].items()
    }
    results = runs([job for some in jobs.values() for job in some])
    return {
        at: [results[job.spec.key] for job in some if job.spec.key in results]
        for at, some in jobs.items()
    }


def judged(
    context: Context,
    arm: Tunable,
    trials: Trials,
    choice: dict[str, int | None],
    lasts: dict[str, Lasts],
    tests: dict[tuple[str, str], list[Result]],
) -> ArmResult:
    search, mine = context.search, trials[arm.name]
    score = search.score
    own = {which: results for (name, which), results in tests.items() if name == arm.name}
    return ArmResult(
        name=arm.name,
        trials=mine,
        chosen=choice[arm.name],
        steps={which: steps for which, (steps, _) in lasts[arm.name].items()},
        words={which: words for which, (_, words) in lasts[arm.name].items()},
        keys={which: [one.key for one in results] for which, results in own.items()},
        tests={
            w: {str(one.fold): one.metrics[score.key] for one in rs if one.status == "FINISHED"}
            for w, rs in own.items()
        },
        curve=curve([trial.loss for trial in mine], search.seed),
        importance=importance(arm.space, search.seed, mine),
    )
