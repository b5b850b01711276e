"""`upgate tune`: the plan first, then the search, the choice and one look at the test part; the same command goes on where it stopped."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from rich.console import Console

from upgate.console import declined, interrupted, show_failures
from upgate.execution.work import Interrupted
from upgate.run.console_tables import show_data
from upgate.run.datasets import Datasets
from upgate.run.result import Result
from upgate.store.store import Store
from upgate.study.budget import STEPS, alike, guessed, try_out
from upgate.study.command import agreed, stored_rows
from upgate.tasks.search_blocks import Block
from upgate.tune import text as say
from upgate.tune.optuna_adapter import Record
from upgate.tune.plan import Plan, plan, runs_of
from upgate.tune.record import FILE, folder_of, keep, open_arm, open_parent
from upgate.tune.result import Search, SearchResult, Tunable
from upgate.tune.run_search import searched
from upgate.tune.search import Context, SearchStopped
from upgate.tune.trial import Trial
from upgate.tune.trial_runner import Runs


def tune_command(words: Sequence[str], extra: str | None, yes: bool, console: Console) -> int:
    """Plan, ask, search, choose, test; the exit code: 0, 1 if a run failed, 130 if interrupted. Raises UserError."""
    library = Datasets()
    planned = plan(words, extra, library)
    first = planned.first[planned.search.arms[0].name]
    show_data(console, first, library)
    store = Store(Path(first.config.root).resolve())
    with console.status("trying every recipe out for two steps"):
        seconds, done, measured = expected(planned, store, library, console)
    say.tell(console, planned.search, seconds, done, measured)
    if not (yes or planned.asked.yes or agreed(console)):
        return declined(console, "tune")
    store.prepare()
    store.reconcile()
    record = Record(planned.asked.storage, store.root)
    record.prepare()
    return run(planned, extra, library, store, record, console)


def expected(
    planned: Plan, store: Store, library: Datasets, console: Console
) -> tuple[float, int, bool]:
    """Seconds of all runs if each takes as long as its arm's baseline; trials that are done; whether the store has timed all baselines."""
    every = stored_rows(store, planned.search.task)
    rows = [row for row in every if row.status == "FINISHED" and not row.is_parent]
    total, measured = 0.0, True
    for arm in planned.search.arms:
        job = planned.first[arm.name]
        tried = try_out(job, library, STEPS, console)
        known = [row.seconds for row in rows if alike(row, job)]
        measured = measured and bool(known)
        total += median(known) if known else guessed(job, library, tried, console)
    runs = runs_of(planned.search)
    ids = {row.run_id for row in every if row.tags.get("upgate.tune") == planned.search.id}
    done = sum(row.parent in ids for row in rows)
    return total / len(planned.search.arms) * max(0, runs - done), done, measured


def run(
    planned: Plan,
    extra: str | None,
    library: Datasets,
    store: Store,
    record: Record,
    console: Console,
) -> int:
    """Everything from the first trial to the last look."""
    try:
        result, failed = go(planned, extra, library, store, record, console)
    except Interrupted:
        return interrupted(console)
    except SearchStopped as stopped:
        console.print(
            f"[red]the search stopped:[/] {stopped}; mend what failed, and the same command goes on",
            highlight=False,
        )
        return 1
    return report(console, result, failed, folder_of(store, planned.search.id))


def go(
    planned: Plan,
    extra: str | None,
    library: Datasets,
    store: Store,
    record: Record,
    console: Console,
) -> tuple[SearchResult, dict[str, Result]]:
    """The search in its MLflow runs; what came of it, and the runs that failed. Raises Interrupted, Stopped."""
    search, folder = planned.search, folder_of(store, planned.search.id)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_text(search.json(), encoding="utf-8")
    with ExitStack() as stack:
        parent = stack.enter_context(open_parent(search, store))
        parent.artifact(folder / FILE)
        arms = {
            arm.name: stack.enter_context(open_arm(search, arm.name, parent, store))
            for arm in search.arms
        }
        try:
            with Runs(planned, library, store, parent, console) as runs:
                parents = {name: one.id for name, one in arms.items()}
                result = searched(
                    Context(search, extra, library, runs, parents, teller(search, record)),
                    store,
                    runs,
                )
        except Interrupted:
            for one in (*arms.values(), parent):
                one.finish("KILLED")
            raise
        keep(result, folder, parent, arms)
        for one in (*arms.values(), parent):
            one.finish("FINISHED" if result.complete else "FAILED")
    return result, runs.failed


def teller(search: Search, record: Record) -> Callable[[Block, Tunable, Sequence[Trial]], None]:
    """Who hears of the trials so far: Optuna's record, one study for each arm and block."""

    def tell(block: Block, arm: Tunable, trials: Sequence[Trial]) -> None:
        record.add(
            "/".join([search.id, arm.name, *([block.name] if block.name else [])]),
            arm.space,
            trials,
        )

    return tell


def report(console: Console, result: SearchResult, failed: dict[str, Result], folder: Path) -> int:
    say.show(console, result)
    if failed:
        show_failures(console, list(failed.values()))
    console.print(
        f"in {folder}: {FILE}, result.json, report.html, figures", highlight=False, soft_wrap=True
    )
    console.print(f"next: {say.next_line(result)}", highlight=False, markup=False, soft_wrap=True)
    return 0 if result.complete and not say.any_failed(result) else 1
