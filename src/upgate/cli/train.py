"""`upgate train`: runs beside their twins, by their words or by a sweeper of Hydra's."""

import hashlib
import re
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from upgate.cli.promote import promote
from upgate.cli.promotion import Promotion
from upgate.cli.texts import say
from upgate.cli.train_outcome import Training, conclude, dry_sentence, quiet_lines
from upgate.cli.train_plan import TrainPlan, plan_training
from upgate.config.words import expand, read_sweep
from upgate.console import interrupted, print_lines
from upgate.errors import UserError
from upgate.execution.driver import execute
from upgate.execution.work import Interrupted
from upgate.experiment.jobs import check_batches, check_shared_settings
from upgate.experiment.parents import open_command
from upgate.experiment.progress import RunProgress
from upgate.experiment.records import finished_runs
from upgate.experiment.session import Session, job_store, prepare
from upgate.run.console_tables import show_data
from upgate.run.datasets import Datasets
from upgate.run.job import Job
from upgate.run.train import dry_run
from upgate.store.run import Run
from upgate.store.store import Store
from upgate.tune.find_rates import (
    describe_rate_search,
    known_rates,
    plan_rates,
    search_rates,
    wants_search,
    without_auto,
)

# Overrides that no search of a learning rate depends on.
NO_QUESTION = re.compile(r"(seed|fold|twin|root|cache)=|executor[.=]")


def train_command(
    overrides: Sequence[str],
    multirun: bool,
    config_dir: str | None,
    console: Console,
    quiet: bool = False,
    promotion: Promotion | None = None,
) -> int:
    """Train what the overrides ask for; the exit code. quiet: print `quiet_lines` alone.

    promotion: register the one run that was asked for, if it finished. Raises UserError.
    """
    talk = Console(quiet=True) if quiet else console
    if sweep := read_sweep(overrides, multirun, config_dir):
        from upgate.cli.sweeper import sweep_runs

        done = sweep_runs(sweep, overrides, config_dir, talk)
    else:
        done = train_runs(overrides, multirun, config_dir, talk)
    if quiet:
        print_lines(console, quiet_lines(done))
    if promotion and done.code == 0:
        lines = promote_trained(done.plan.requested[0], promotion)
        print_lines(console, lines[:1] if quiet else lines)
    return done.code


def promote_trained(job: Job, promotion: Promotion) -> list[str]:
    """Register the run of a job as a model; what to say of it. Raises UserError."""
    store = job_store(job)
    row = store.finished([job.spec.key])[job.spec.key]
    if row.diverged:
        raise UserError(say("diverged_not_registered", name=row.name, key=row.key[:8]))
    return promote(store, row, promotion)


def train_runs(
    overrides: Sequence[str], multirun: bool, config_dir: str | None, console: Console
) -> Training:
    """Train what the overrides ask for, and print the results.

    Raises UserError for every fault of data or configuration before the first training.
    """
    datasets = Datasets()
    singles = expand(overrides, multirun, config_dir)
    plan = plan_training([without_auto(single) for single in singles], config_dir, datasets)
    first = plan.requested[0].config
    check_shared_settings(plan.requested)
    for job in plan.jobs:
        check_batches(job, datasets)
    show_data(console, plan.requested[0], datasets)
    if first.trainer.get("fast_dev_run"):
        return Training(_dry_run(plan.jobs, datasets, console), plan)
    store = job_store(plan.requested[0])
    session = Session(console, datasets, config_dir)
    with store.in_use():
        prepare(store)
        try:
            plan = search_first(singles, plan, store, session)
        except Interrupted:
            return Training(interrupted(console), plan)
        return _train(plan, datasets, store, console)


def search_first(
    singles: Sequence[list[str]], plan: TrainPlan, store: Store, session: Session
) -> TrainPlan:
    """The plan with the learning rates that optimizer.lr=auto finds; as it is without any.

    A twin keeps the traditional recipe's own rate. Raises Interrupted and UserError.
    """
    names = name_recipes(singles, plan.requested)
    wanting = {
        name: without_auto(single)
        for name, single in zip(names, singles, strict=True)
        if wants_search(single)
    }
    if not wanting:
        return plan
    rates = plan_rates(list(wanting.items()), (job.spec.seed for job in plan.requested), session)
    known = known_rates(rates, finished_runs(plan.stored(store)), session)
    print_lines(session.console, describe_rate_search(rates, len(known)))
    found = search_rates(rates, known, store, session)
    resolved, notes = [], []
    for name, single in zip(names, singles, strict=True):
        rate = found[name] if wants_search(single) else None
        resolved.append([*without_auto(single), rate.override] if rate else list(single))
        notes.append(rate.text() if rate else "")
    return plan_training(resolved, session.config_dir, session.datasets, notes)


def name_recipes(singles: Sequence[Sequence[str]], jobs: Sequence[Job]) -> list[str]:
    """A name for each run's recipe; all overrides where recipe and parts alone are ambiguous."""
    texts = []
    for single in singles:
        texts.append(" ".join(one for one in single if not NO_QUESTION.match(one)))
    short = [" ".join([job.recipe, *job.changes]) for job in jobs]
    return short if len(set(short)) == len(set(texts)) else texts


def _dry_run(jobs: Sequence[Job], datasets: Datasets, console: Console) -> int:
    for job in jobs:
        batches: Any = job.config.trainer["fast_dev_run"]
        dry_run(job.spec, datasets.fetch(job)[1], batches)
    print_lines(console, [dry_sentence(len(jobs))])
    return 0


def _train(plan: TrainPlan, datasets: Datasets, store: Store, console: Console) -> Training:
    parent = open_parent(store, plan)
    keys = {job.spec.key for job in plan.jobs}
    stored = store.finished(keys)
    progress = RunProgress(console, str(len(keys) - len(stored)), show_starts=False)
    try:
        results = execute(
            plan.jobs,
            datasets.fetch,
            store,
            parent,
            console,
            progress,
            pictures=False,
            stored=stored,
        )
    except Interrupted:
        parent.finish("KILLED")
        return Training(interrupted(console), plan)
    except BaseException:
        parent.finish("FAILED")
        raise
    return conclude(plan, results, parent, store, console)


def open_parent(store: Store, plan: TrainPlan) -> Run:
    """The MLflow run of the command: the same command again goes on in the same one."""
    keys = {job.spec.key for job in plan.jobs}
    key = hashlib.sha256("".join(sorted(keys)).encode()).hexdigest()
    first, count = plan.requested[0], len(plan.requested)
    name = f"compare {first.name}" if count == 1 else f"sweep of {count}"
    tags = {"upgate.runs": str(len(plan.jobs))}
    return open_command(store, first.spec.task.name, name, key, tags)
