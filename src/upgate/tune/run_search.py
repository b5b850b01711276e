"""A full search: its blocks one after the other, each with its choice.

Only after a block's choice, where it is wanted, its test part is opened.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from upgate.experiment.records import stored_looks
from upgate.run.result import Result
from upgate.store.store import Store
from upgate.tasks.blocks import Block
from upgate.tune.best_of_n import best_of_n_curve
from upgate.tune.final import candidates, final_jobs, final_overrides, mean_step
from upgate.tune.optuna_adapter import axis_importance
from upgate.tune.plan import trial_job
from upgate.tune.result import ArmResult, BlockResult, SearchResult, Tunable
from upgate.tune.search import Context, run_block
from upgate.tune.trial import Trial
from upgate.tune.trial_runner import TrialRunner


class FinalRun(NamedTuple):
    """The last run of an untuned or tuned arm: its length in steps, and its overrides."""

    steps: int
    overrides: list[str]


FinalRuns = dict[str, FinalRun]  # by untuned, tuned
Tests = dict[str, list[Result]]  # by untuned, tuned: a result per test fold


def run_search(context: Context, store: Store, runner: TrialRunner) -> SearchResult:
    """All blocks: search, choose, and only then, where it is wanted, the test."""
    search = context.search
    blocks: list[BlockResult] = []
    failed: list[str] = []
    for block in search.blocks:
        trials, chosen = run_block(context, block)
        finals = {
            arm.name: plan_final(
                context, block, arm, candidates(trials[arm.name], chosen[arm.name]), runner, store
            )
            for arm in search.arms
        }
        tests: dict[str, Tests] = {}
        if search.test:
            tests = run_tests(context, block, finals, runner)
        failed += failed_tests(tests)
        arms = []
        for arm in search.arms:
            name = arm.name
            own = tests.get(name, {})
            arms.append(arm_result(context, arm, trials[name], chosen[name], finals[name], own))
        blocks.append(BlockResult(block.name, arms))
    store.settle()
    looks = stored_looks(store, search.task, search.data, search.split)
    return SearchResult(search, blocks, failed, looks, runner.seconds)


def plan_final(
    context: Context,
    block: Block,
    arm: Tunable,
    tested: Mapping[str, Trial],
    runner: TrialRunner,
    store: Store,
) -> FinalRuns:
    """How long the last runs are, and their overrides. tested: by untuned, tuned.

    From the results that the search has had: the store may be away.
    """

    def curve(result: Result) -> pd.DataFrame:
        return pd.read_parquet(store.file(result.run_id, "curve.parquet", Path(result.folder)))

    finals: FinalRuns = {}
    for which, trial in tested.items():
        values = {} if trial.number == 0 else trial.values
        job = trial_job(arm, values, block, context.session)
        results = [runner.results[key] for key in trial.keys.values()]
        ended = [one for one in results if one.status == "FINISHED" and not one.diverged]
        steps = mean_step(ended, curve, job.config.parts["stopping"])
        overrides = final_overrides(arm, trial, steps, block, context.session.config_dir)
        finals[which] = FinalRun(steps, overrides)
    return finals


def run_tests(
    context: Context, block: Block, finals: Mapping[str, FinalRuns], runner: TrialRunner
) -> dict[str, Tests]:
    """The one look: every last run of the block, all arms together."""
    jobs = {}
    for arm in context.search.arms:
        for which, final in finals[arm.name].items():
            jobs[arm.name, which] = final_jobs(context, block, arm, which, final.overrides)
    results = runner([job for some in jobs.values() for job in some])
    tests: dict[str, Tests] = {}
    for (name, which), some in jobs.items():
        ended = [results[job.spec.key] for job in some if job.spec.key in results]
        tests.setdefault(name, {})[which] = ended
    return tests


def failed_tests(tests: Mapping[str, Tests]) -> list[str]:
    """The names of the last runs that failed: arm and which."""
    names = []
    for arm, own in tests.items():
        for which, results in own.items():
            if any(result.status != "FINISHED" for result in results):
                names.append(f"{arm} {which}")
    return names


def arm_result(
    context: Context,
    arm: Tunable,
    trials: list[Trial],
    chosen: int | None,
    finals: FinalRuns,
    tests: Tests,
) -> ArmResult:
    search = context.search
    return ArmResult(
        name=arm.name,
        trials=trials,
        chosen=chosen,
        steps={which: final.steps for which, final in finals.items()},
        overrides={which: final.overrides for which, final in finals.items()},
        keys={which: result_keys(results) for which, results in tests.items()},
        tests={which: fold_metrics(results, search.score.key) for which, results in tests.items()},
        curve=best_of_n_curve([trial.loss for trial in trials], search.seed),
        importance=axis_importance(arm.space, search.seed, trials),
    )


def result_keys(results: Sequence[Result]) -> list[str]:
    return [result.key for result in results]


def fold_metrics(results: Sequence[Result], key: str) -> dict[str, float]:
    """Fold -> test metric, of the runs that finished."""
    finished = [result for result in results if result.status == "FINISHED"]
    return {str(result.fold): result.metrics[key] for result in finished}
