"""What a command prints of runs: a table that fits a terminal, and one sentence."""

import math
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.text import Text

from upgate.console import new_table, number
from upgate.run.datasets import Datasets
from upgate.run.job import Job
from upgate.run.result import Result
from upgate.tasks.names import get_facts
from upgate.tasks.registry import get_task

Rows = dict[str, Mapping[str, float]]


def show_run(console: Console, run: Result) -> None:
    """This run, its twin, the difference, and the baselines on the same samples."""
    task = get_facts(run.task)
    columns = task.table_columns(run.metrics)
    table = new_table(task.table_title(run.metrics), "", *(heading for _, heading, _ in columns))
    for name, metrics in _collect_rows(run).items():
        cells = [number(metrics.get(f"test/{key}"), form) for key, _, form in columns]
        table.add_row(Text(name), *cells, end_section=name == "difference")
    console.print(table)
    console.print(summarize(run), highlight=False, soft_wrap=True)


def _collect_rows(run: Result) -> Rows:
    """Row name -> metrics."""
    rows: Rows = {run.name: run.metrics}
    if run.twin is not None:
        rows["twin, traditional"] = run.twin.metrics
        rows["difference"] = run.difference
    for name in get_facts(run.task).references:
        baseline = {
            key.replace(f"/{name}/", "/"): value
            for key, value in run.metrics.items()
            if f"/{name}/" in key
        }
        if baseline:
            rows[name] = baseline
    return rows


def summarize(run: Result) -> str:
    """What the table says, and how little one seed says."""
    if run.diverged:
        return (
            "The run diverged: its gradients were no longer finite. "
            "Try a smaller optimizer.lr or clip=norm."
        )
    task = get_facts(run.task)
    sentence = task.result_sentence(run.metrics)
    if run.twin is None:
        return f"{sentence}."
    key = task.metric.key
    candidate, baseline = run.metrics[key], run.twin.metrics.get(key, math.inf)
    if not math.isfinite(baseline):
        return f"{sentence}; its twin diverged."
    if candidate == baseline:
        return f"{sentence}; its twin did exactly the same."
    difference = task.difference_sentence(candidate, baseline)
    return f"{sentence}; {difference} its twin's. One seed is an anecdote."


def show_runs(console: Console, results: Sequence[Result]) -> None:
    """A row per run: its validation score, its test score, its twin's, and the difference.

    Ordered by validation, task by task. Runs without a validation score keep their order, last.
    """
    metrics = {run.task: get_facts(run.task).metric for run in results}
    phrases = "; ".join(sorted(metric.phrase for metric in metrics.values()))
    labels = ", ".join(sorted({metric.label for metric in metrics.values()}))
    title = f"{len(results)} runs, ordered by validation {labels}, best first; score: {phrases}"
    table = new_table(title, "run", "validation", "score", "twin", "difference")
    for run in sorted(results, key=lambda run: (run.task, metrics[run.task].rank(run.metrics))):
        key, validation = metrics[run.task].key, metrics[run.task].validation_key
        twin = run.twin.metrics.get(key) if run.twin else None
        score = "FAILED" if run.status != "FINISHED" else number(run.metrics.get(key))
        difference = run.difference.get(key)
        shown = "" if difference is None else f"{difference:+.4f}"
        chosen_by = number(run.metrics.get(validation))
        table.add_row(Text(run.name), chosen_by, score, number(twin), shown)
    console.print(table)


def show_data(console: Console, job: Job, datasets: Datasets) -> None:
    """One line on the data that a job trains on, and one on what was left out of them."""
    table, data = datasets.fetch(job)
    samples = ", ".join(f"{count:,} {part}" for part, count in data.sizes.items())
    description = get_task(job.spec.task.name).describe(table)
    line = f"{table.source}: {description}: {samples}"
    console.print(line, highlight=False, markup=False, soft_wrap=True)
    notes = {reason: count for reason, count in data.notes.items() if count}
    left_out = {**table.dropped, **notes}
    if left_out:
        counts = ", ".join(f"{count:,} {reason}" for reason, count in left_out.items())
        console.print(f"left out: {counts}", highlight=False)
