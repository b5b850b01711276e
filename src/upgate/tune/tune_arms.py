"""Tuned arms for a study: each arm's overrides with the values that a search chose.

The search uses validation data only; the test part stays closed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from upgate.config.compose import PARTS, compose
from upgate.console import print_lines
from upgate.errors import UserError
from upgate.execution.work import Interrupted
from upgate.experiment.designs import Arm
from upgate.experiment.session import Session, job_store, prepare
from upgate.tune.command import run_search_logged, show_plan
from upgate.tune.options import TuneOptions
from upgate.tune.plan import SearchPlan, plan_arms
from upgate.tune.record import Renderer
from upgate.tune.search import SearchStopped
from upgate.tune.space import make_space, override_all
from upgate.tune.text import describe_chosen, search_notes
from upgate.tune.texts import say


@dataclass(frozen=True)
class ArmSearch:
    """A study's arms, and the search that tunes them."""

    arms: Sequence[Arm]
    plan: SearchPlan


def plan_arm_search(
    arms: Sequence[Arm], trials: int, seeds: Sequence[int], session: Session
) -> ArmSearch:
    """The search of study.tune=TRIALS, its plan printed.

    Each arm's parts are tuned; model and batch size stay equal in all arms. seeds: the study's,
    none of which the search may use; its own begin at the next hundred.
    """
    shared: dict[str, None] = {}
    for arm in arms:
        for dim in make_space(compose(arm.overrides, session.config_dir), {}, None):
            if dim.key.partition(".")[0] not in PARTS:
                shared[dim.key] = None
    options = TuneOptions(trials=trials, space=shared, seed=max(seeds) // 100, test=False)
    plan = plan_arms(options, arms, [], session)
    show_plan(plan, session)
    return ArmSearch(arms, plan)


def tune_first(
    search: ArmSearch, session: Session, render: Renderer
) -> dict[str, list[str]] | None:
    """Arm -> its tuned overrides; None where interrupted. Raises UserError."""
    try:
        return tune_arms(search, session, render)
    except Interrupted:
        return None
    except SearchStopped as stopped:
        raise UserError(say("stopped_before_study", reason=stopped.args[0])) from None


def tune_arms(search: ArmSearch, session: Session, render: Renderer) -> dict[str, list[str]]:
    """Arm -> its tuned overrides: every arm has the same number of trials on one shared list.

    The split in the arms' overrides says which test part stays closed. Continues where it stopped,
    as `upgate tune` does. Raises UserError where an arm has no complete trial, Interrupted, and
    SearchStopped where runs are missing.
    """
    store = job_store(search.plan.first_job)
    prepare(store)
    result, _ = run_search_logged(search.plan, store, session, render)
    print_lines(session.console, [*describe_chosen(result), *search_notes(result)])
    tuned = {}
    for arm in search.arms:
        best = result.blocks[0].arm(arm.name).best
        if best is None:
            raise UserError(say("no_complete_trial", name=arm.name))
        tuned[arm.name] = override_all(arm.overrides, best.overrides)
    return tuned
