"""`upgate train`: runs beside their twins, a table, pictures and the next command."""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from rich.console import Console
from rich.markup import escape

from upgate.cli.next_step import study_of_run, study_of_sweep, suggest
from upgate.cli.promote import promote
from upgate.cli.promotion import Promotion
from upgate.config.words import expand, read_sweep
from upgate.console import interrupted, print_lines, show_failures
from upgate.errors import UserError
from upgate.execution.driver import execute
from upgate.execution.pictures import draw_missing
from upgate.execution.work import Interrupted
from upgate.experiment.jobs import check_batches, check_shared_settings, make_pair
from upgate.experiment.parents import open_command
from upgate.experiment.progress import RunProgress
from upgate.experiment.records import finished_runs, looks_lines
from upgate.experiment.session import Session, prepare
from upgate.recipe.no_effect import TrainedRecipe, no_effect
from upgate.run.console_tables import show_data, show_run, show_runs, summarize
from upgate.run.datasets import Datasets
from upgate.run.job import Job
from upgate.run.result import Result, scores
from upgate.run.train import dry_run
from upgate.store.connect import Unreachable
from upgate.store.record import Row
from upgate.store.run import Run
from upgate.store.store import Store
from upgate.tasks.names import get_facts
from upgate.tune.find_rates import (
    describe_rate_search,
    known_rates,
    plan_rates,
    search_rates,
    wants_search,
    without_auto,
)

SAMPLE = re.compile(r"(seed|fold)=")
# Overrides that no search of a learning rate depends on.
NO_QUESTION = re.compile(r"(seed|fold|twin|root|cache)=|executor[.=]")


@dataclass(frozen=True)
class TrainPlan:
    """`requested`: the jobs of the command line; `jobs`: those with their twins, a twin first.

    singles: the overrides of each requested job.
    """

    requested: list[Job]
    jobs: list[Job]
    singles: Sequence[Sequence[str]]

    def stored(self, store: Store) -> list[Row]:
        """What the store holds of the tasks of the requested jobs."""
        tasks = dict.fromkeys(job.spec.task.name for job in self.requested)
        return [row for task in tasks for row in store.rows(task=task)]

    @property
    def common(self) -> list[str]:
        """The overrides that all requested jobs have."""
        return [word for word in self.singles[0] if all(word in one for one in self.singles)]

    @property
    def settings(self) -> dict[str, list[Job]]:
        """The requested jobs by what tells them apart beside seed and fold."""
        common, settings = self.common, dict[str, list[Job]]()
        for job, single in zip(self.requested, self.singles, strict=True):
            own = [word for word in single if word not in common and not SAMPLE.match(word)]
            name = " ".join(own or [job.recipe, *job.changes])
            settings.setdefault(name, []).append(job)
        return settings


@dataclass(frozen=True)
class Training:
    """What a command trained. code: 0, 1 if a run failed, 130 if interrupted.

    results: of the plan's jobs, those of twins too; empty for a dry run. note: what is wrong with
    the store, if anything.
    """

    code: int
    plan: TrainPlan
    results: Sequence[Result] = ()
    note: str = ""


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
    store = Store(Path(job.config.root).resolve())
    row = store.finished([job.spec.key])[job.spec.key]
    if row.diverged:
        raise UserError(f"{row.name} ({row.key[:8]}) diverged, so it is not registered")
    return promote(store, row, promotion)


def quiet_lines(done: Training) -> Iterator[str]:
    """What failed or had no effect, then one sentence about the runs."""
    by_key = {result.key: result for result in done.results}
    for result in done.results:
        if result.status != "FINISHED":
            yield f"failed {result.name}: {result.error}"
    for warning in no_effect(_collect_trained(done.plan.jobs, by_key)):
        yield f"no effect {warning}"
    if done.note:
        yield done.note
    requested = [by_key[job.spec.key] for job in done.plan.requested if job.spec.key in by_key]
    finished = [result for result in requested if result.status == "FINISHED"]
    if done.code == 130:
        yield "interrupted; the same command goes on where this one stopped."
    elif not done.results:
        yield dry_sentence(len(done.plan.jobs))
    elif len(done.plan.requested) == 1 and finished:
        yield summarize(finished[0])
    else:
        yield f"{len(finished)} of {len(done.plan.requested)} runs finished; upgate runs lists them"


def dry_sentence(recipes: int) -> str:
    """What fast_dev_run did."""
    return f"fast_dev_run: {recipes} recipes trained and validated; nothing was recorded."


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
    store = Store(Path(first.root).resolve())
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


def plan_training(
    singles: Sequence[Sequence[str]],
    config_dir: str | None,
    datasets: Datasets,
    rate_searches: Sequence[str] = (),
) -> TrainPlan:
    """The jobs of the overrides of each run. A twin that is requested itself counts as requested.

    rate_searches: for each run the record of its learning rate's search, empty for none.
    """
    pairs = [make_pair(single, datasets, config_dir) for single in singles]
    for i, note in enumerate(rate_searches):
        pairs[i] = replace(pairs[i][0], rate_search=note), pairs[i][1]
    requested = [job for job, _ in pairs]
    by_key = {job.spec.key: job for job in requested}
    jobs: list[Job] = []
    for job, twin in pairs:
        if twin is not None:
            jobs.append(by_key.get(twin.spec.key, twin))
        jobs.append(by_key[job.spec.key])
    return TrainPlan(requested, jobs, singles)


def _dry_run(jobs: Sequence[Job], datasets: Datasets, console: Console) -> int:
    for job in jobs:
        batches: Any = job.config.trainer["fast_dev_run"]
        dry_run(job.spec, datasets.fetch(job)[1], batches)
    console.print(dry_sentence(len(jobs)))
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


def conclude(
    plan: TrainPlan, results: list[Result], parent: Run, store: Store, console: Console
) -> Training:
    """Log and print what the runs of a plan give, and draw their pictures."""
    code, note = _log_and_show(plan, results, parent, console), ""
    try:
        print_lines(console, looks_lines(store, plan.requested))
        draw_missing([*plan.requested, *plan.jobs], results, store)  # those of interest first
    except Unreachable as away:
        note = f"{away}; what was logged waits in {store.open} for the next command"
        console.print(f"[yellow]{escape(note)}[/]", highlight=False, soft_wrap=True)
    return Training(code, plan, results, note)


def _log_and_show(plan: TrainPlan, results: list[Result], parent: Run, console: Console) -> int:
    """Log the command's aggregates and print its results; the exit code."""
    by_key = {result.key: result for result in results}
    requested = [by_key[job.spec.key] for job in plan.requested if job.spec.key in by_key]
    failed = [result for result in results if result.status != "FINISHED"]
    complete = len(results) >= len({job.spec.key for job in plan.jobs})
    settings = {
        name: [by_key[job.spec.key] for job in jobs if job.spec.key in by_key]
        for name, jobs in plan.settings.items()
    }
    for name, group in settings.items():
        prefix = f"{name}/" if len(settings) > 1 else ""
        parent.log({f"{prefix}{key}": value for key, value in aggregate(group).items()})
    parent.finish("FINISHED" if complete and not failed else "FAILED")
    warnings = no_effect(_collect_trained(plan.jobs, by_key))
    if warnings:
        parent.text("\n".join(warnings), "no_effect.txt")
    if len(requested) > 1:
        show_runs(console, {name: group for name, group in settings.items() if group})
    elif requested and requested[0].status == "FINISHED":
        show_run(console, requested[0])
    if requested:
        print_lines(console, what_next(plan, requested))
    if failed:
        show_failures(console, failed)
    for warning in warnings:
        console.print(f"[bold red]no effect[/] {escape(warning)}", highlight=False)
    return 1 if failed else 0


def _collect_trained(jobs: Sequence[Job], results: dict[str, Result]) -> list[TrainedRecipe]:
    """What the no-effect detector compares: runs that kept weights."""
    trained = []
    for job in jobs:
        result = results.get(job.spec.key)
        if result is not None and result.weights:
            spec = job.spec.to_dict()
            recipe = spec.pop("recipe")
            shared = json.dumps(spec, sort_keys=True)
            trained.append(TrainedRecipe(job.name, shared, recipe, result.weights))
    return trained


def open_parent(store: Store, plan: TrainPlan) -> Run:
    """The MLflow run of the command: the same command again goes on in the same one."""
    keys = {job.spec.key for job in plan.jobs}
    key = hashlib.sha256("".join(sorted(keys)).encode()).hexdigest()
    first, count = plan.requested[0], len(plan.requested)
    name = f"compare {first.name}" if count == 1 else f"sweep of {count}"
    tags = {"upgate.runs": str(len(plan.jobs))}
    return open_command(store, first.spec.task.name, name, key, tags)


def aggregate(results: Sequence[Result]) -> dict[str, float]:
    """Means over a command's runs: scores, paired differences and the standard errors of these.

    A standard error needs two runs.
    """
    numbers: dict[str, float] = {
        "runs": float(len(results)),
        "diverged": float(sum(run.diverged for run in results)),
    }
    for key, values in _values_by_key([run.difference for run in results]).items():
        numbers[f"difference/{key}"] = fmean(values)
        if len(values) > 1:
            numbers[f"difference_se/{key}"] = stdev(values) / len(values) ** 0.5
    for key in _values_by_key([scores(run.metrics) for run in results]):
        numbers[key] = fmean([run.metrics[key] for run in results if key in run.metrics])
    return numbers


def _values_by_key(metrics: Sequence[dict[str, float]]) -> dict[str, list[float]]:
    """Key -> the values of all that have it, keys in order."""
    keys = sorted(set().union(*metrics))
    return {key: [values[key] for values in metrics if key in values] for key in keys}


def what_next(plan: TrainPlan, results: Sequence[Result]) -> Iterator[str]:
    """Where the pictures are, and what is worth typing next, in the words that were typed."""
    folder = plan.requested[0].config.config_dir
    see = suggest("ui", [word for word in plan.common if word.startswith("root=")])
    if len(results) > 1:
        if study := study_of_sweep(plan.common, list(plan.settings), folder):
            yield f"next, for a verdict on these settings: {study}"
        yield f"or see the runs: {see}"
        return
    (run,), (job,) = results, plan.requested
    if run.status == "FINISHED" and not run.diverged:
        task = get_facts(run.task)
        yield f"in {run.folder}: {', '.join(task.pictures)}"
        reason, word = task.worth_trying(run.metrics, job.spec.to_dict()["task"])
        if reason:
            key = word.partition("=")[0]
            words = [one for one in plan.singles[0] if not one.startswith(f"{key}=")]
            yield f"{reason}: {suggest('train', [*words, word], folder)}"
    yield f"next, for a verdict on more seeds: {study_of_run(plan.singles[0], folder)}"
    yield f"or see the runs: {see}"
