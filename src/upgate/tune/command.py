"""`upgate tune`: the plan first, then the search, the choice and one look at the test part.

The same command continues where it stopped.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.text import Text

from upgate.console import interrupted, print_lines, show_failures
from upgate.execution.work import Interrupted
from upgate.experiment.parents import open_parents
from upgate.experiment.records import finished_runs, stored_rows
from upgate.experiment.session import Session, job_store, no_conclusion, proceed
from upgate.experiment.timing import time_run
from upgate.files import write_text
from upgate.messages import joined, shown
from upgate.run.console_tables import show_data
from upgate.run.datasets import Datasets
from upgate.run.result import Result
from upgate.store.store import Store
from upgate.tasks.blocks import Block
from upgate.tune.optuna_adapter import Record
from upgate.tune.plan import SearchPlan, count_runs, plan_search
from upgate.tune.record import FILE, Renderer, record_result, search_folder, search_tags
from upgate.tune.result import Search, SearchResult, Tunable
from upgate.tune.run_search import run_search
from upgate.tune.search import Context, Listener, SearchStopped
from upgate.tune.text import any_failed, next_command, print_search, print_search_plan
from upgate.tune.texts import say
from upgate.tune.trial import Trial
from upgate.tune.trial_runner import TrialRunner


class SearchBudget(NamedTuple):
    """What a search will take."""

    seconds: float  # of all runs, if each takes as long as its arm's baseline
    done: int  # runs
    measured: bool  # whether the store has timed all baselines


Conclude = Callable[[SearchResult], None]  # takes a search's result, when it is there


def tune_command(
    overrides: Sequence[str],
    config_dir: str | None,
    yes: bool,
    console: Console,
    render: Renderer,
    conclude: Conclude = no_conclusion,
) -> int:
    """Plan, ask, search, choose, test; the exit code: 0, 1 if a run failed, 130 if interrupted.

    render: draws the page of the result. Raises UserError.
    """
    session = Session(console, Datasets(), config_dir)
    plan = plan_search(overrides, session)
    show_data(console, plan.first_job, session.datasets)
    show_plan(plan, session)
    store = job_store(plan.first_job)
    agreed = yes or plan.options.yes
    return proceed(
        console,
        "tune",
        store,
        agreed,
        lambda: search_and_print(plan, store, session, render, conclude),
    )


def show_plan(plan: SearchPlan, session: Session) -> None:
    """Try every recipe out, and print what the search will take."""
    with session.console.status(shown(say("trying"))):
        budget = estimate_search(plan, session)
    print_search_plan(
        session.console,
        plan.search,
        count_runs(plan.search),
        budget.seconds,
        budget.done,
        budget.measured,
    )


def estimate_search(plan: SearchPlan, session: Session) -> SearchBudget:
    """Raises whatever a recipe fails with in two steps."""
    search = plan.search
    rows = stored_rows(job_store(plan.first_job), search.task)
    finished = finished_runs(rows)
    per_arm = [
        time_run(plan.first[arm.name], finished, session.datasets, session.console)
        for arm in search.arms
    ]
    parents = {row.run_id for row in rows if row.tags.get("upgate.tune") == search.id}
    done = sum(row.parent in parents for row in finished)
    mean = sum(one.seconds for one in per_arm) / len(per_arm)
    left = max(0, count_runs(search) - done)
    return SearchBudget(mean * left, done, all(one.measured for one in per_arm))


def search_and_print(
    plan: SearchPlan, store: Store, session: Session, render: Renderer, conclude: Conclude
) -> int:
    """Everything from the first trial to the last look; the exit code."""
    console = session.console
    try:
        result, failed = run_search_logged(plan, store, session, render)
    except Interrupted:
        return interrupted(console)
    except SearchStopped as stopped:
        message = shown(say("repair", reason=stopped.args[0]))
        console.print(Text(shown(say("stopped")), "red"), message, highlight=False, markup=False)
        return 1
    conclude(result)
    return print_search_end(console, result, failed, search_folder(store, plan.search.id))


def run_search_logged(
    plan: SearchPlan, store: Store, session: Session, render: Renderer
) -> tuple[SearchResult, dict[str, Result]]:
    """The search in its MLflow runs; its result, and the runs that failed.

    Raises Interrupted and SearchStopped.
    """
    search, folder = plan.search, search_folder(store, plan.search.id)
    record = Record(plan.options.storage, store.root)
    record.prepare()
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / FILE, search.json())
    names = [arm.name for arm in search.arms]
    key, tags = ("tune", search.id), search_tags(search)
    with open_parents(store, "tune", search.task, key, tags, names) as parents:
        parents.parent.artifact(folder / FILE)
        ids = {name: run.id for name, run in parents.arms.items()}
        try:
            with TrialRunner(plan, session, store, parents.parent) as runner:
                context = Context(search, session, runner, ids, record_trials(search, record))
                result = run_search(context, store, runner)
        except Interrupted:
            parents.finish("KILLED")
            raise
        record_result(result, folder, parents, render)
    return result, runner.failed


def record_trials(search: Search, record: Record) -> Listener:
    """A listener that keeps Optuna's record: one study for each arm and block."""

    def listen(block: Block, arm: Tunable, trials: Sequence[Trial]) -> None:
        name = "/".join([search.id, arm.name, *([block.name] if block.name else [])])
        record.add(name, arm.space, trials)

    return listen


def print_search_end(
    console: Console, result: SearchResult, failed: dict[str, Result], folder: Path
) -> int:
    """The result, what failed, where the files are, and the next command; the exit code."""
    print_search(console, result)
    if failed:
        show_failures(console, list(failed.values()))
    files = joined([FILE, "result.json", "report.html", say("figures")])
    where = say("files", folder=str(folder), files=files)
    print_lines(console, [where, say("next", command=next_command(result))])
    return 0 if result.complete and not any_failed(result) else 1
