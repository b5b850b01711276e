"""What `upgate train` says of its runs: a table, pictures, what failed, the next command."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from upgate import messages
from upgate.cli.next_step import study_of_run, study_of_sweep, suggest
from upgate.cli.texts import say
from upgate.cli.train_plan import TrainPlan
from upgate.console import counted, print_lines, show_failures
from upgate.execution.pictures import draw_missing
from upgate.experiment.records import looks_lines
from upgate.messages import joined, shown
from upgate.recipe.no_effect import TrainedRecipe, no_effect
from upgate.run.console_tables import order_settings, show_run, show_runs, summarize
from upgate.run.job import Job
from upgate.run.result import Result, scores
from upgate.store.connect import Unreachable
from upgate.store.run import Run
from upgate.store.store import Store
from upgate.tasks.names import get_facts


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


def conclude(
    plan: TrainPlan, results: list[Result], parent: Run, store: Store, console: Console
) -> Training:
    """Log and print what the runs of a plan give, and draw their pictures."""
    code, note = _log_and_show(plan, results, parent, console), ""
    try:
        print_lines(console, looks_lines(store, plan.requested))
        draw_missing([*plan.requested, *plan.jobs], results, store)  # those of interest first
    except Unreachable as away:
        note = say("unreachable", reason=str(away), folder=str(store.open))
        console.print(Text(shown(note), "yellow"), soft_wrap=True)
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
    if any(settings.values()):
        parent.rename(name_by_result(plan.requested[0].name, settings))
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
        mark = Text(shown(say("no_effect")), "bold red")
        console.print(mark, escape(warning), highlight=False)
    return 1 if failed else 0


def name_by_result(name: str, settings: Mapping[str, Sequence[Result]]) -> str:
    """What the command's run is called in MLflow: the mean change to the twins of its one setting,
    name, or the setting that is best on validation.
    """
    finished = {key: runs for key, runs in settings.items() if runs}
    best = order_settings(finished)[0]
    if len(settings) > 1:
        return f"best of {len(settings)} on validation: {best}"
    runs = finished[best]
    metric = get_facts(runs[0].task).metric
    changes = [
        metric.change(run.metrics[metric.key], run.twin.metrics[metric.key])
        for run in runs
        if run.twin and metric.key in run.metrics and metric.key in run.twin.metrics
    ]
    found = [change for change in changes if change is not None and math.isfinite(change)]
    seeds = f", {counted(len(runs), 'run')}" if len(runs) > 1 else ""
    if not found:
        return f"compare {name}{seeds}"
    mean = fmean(found)
    if abs(mean) < 0.005:  # would be shown as 0.00
        return f"within 0.01{metric.unit} of its twin: {name}{seeds}"
    return f"{mean:+.2f}{metric.unit} to its twin: {name}{seeds}"


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


def quiet_lines(done: Training) -> Iterator[str]:
    """What failed or had no effect, then one sentence about the runs."""
    by_key = {result.key: result for result in done.results}
    for result in done.results:
        if result.status != "FINISHED":
            yield say("failed_run", name=result.name, error=result.error)
    for warning in no_effect(_collect_trained(done.plan.jobs, by_key)):
        yield say("no_effect_of", warning=warning)
    if done.note:
        yield done.note
    requested = [by_key[job.spec.key] for job in done.plan.requested if job.spec.key in by_key]
    finished = [result for result in requested if result.status == "FINISHED"]
    if done.code == 130:
        yield messages.say("interrupted")
    elif not done.results:
        yield dry_sentence(len(done.plan.jobs))
    elif len(done.plan.requested) == 1 and finished:
        yield summarize(finished[0])
    else:
        yield say("some_finished", done=len(finished), all=len(done.plan.requested))


def dry_sentence(recipes: int) -> str:
    """What fast_dev_run did."""
    return say("dry_run", recipes=recipes)


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
    root = [word for word in plan.common if word.startswith("root=")]
    see = suggest("ui", root)
    if len(results) > 1:
        if study := study_of_sweep(plan.common, list(plan.settings), folder):
            yield say("verdict_of_sweep", command=study)
        yield say("see_runs", command=see)
        return
    (run,), (job,) = results, plan.requested
    if run.status == "FINISHED" and not run.diverged:
        task = get_facts(run.task)
        yield say("files", folder=run.folder, files=joined(task.pictures))
        reason, word = task.worth_trying(run.metrics, job.spec.to_dict()["task"])
        if reason:
            key = word.partition("=")[0]
            words = [one for one in plan.singles[0] if not one.startswith(f"{key}=")]
            command = suggest("train", [*words, word], folder)
            yield say("worth_trying", reason=reason, command=command)
        if task.explains and run.twin and run.twin.key != run.key:
            why = suggest("report", [f"run={run.key[:8]}", *root], folder)
            yield say("what_made_forecasts", command=why)
    yield say("verdict_of_run", command=study_of_run(plan.singles[0], folder))
    yield say("see_runs", command=see)
