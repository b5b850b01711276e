"""What a command prints of runs: a table that fits a terminal, and one sentence."""

import math
from collections.abc import Mapping, Sequence
from math import nan
from statistics import fmean, stdev

from rich.console import Console
from rich.text import Text

from upgate.console import counted, new_table, number, print_lines, print_rows
from upgate.messages import joined, shown
from upgate.run.datasets import Datasets
from upgate.run.job import Job
from upgate.run.result import Result
from upgate.run.texts import say
from upgate.tasks.facts import Metric
from upgate.tasks.names import get_facts
from upgate.tasks.registry import get_task

Rows = dict[str, Mapping[str, float]]
PLUS_MINUS = "±"  # the heading of a standard error


def show_run(console: Console, run: Result) -> None:
    """This run, its twin, the difference, and the baselines on the same samples."""
    task = get_facts(run.task)
    columns = task.table_columns(run.metrics)
    table = new_table(task.table_title(run.metrics), "", *(heading for _, heading, _ in columns))
    for name, metrics in collect_rows(run).items():
        cells = [number(metrics.get(f"test/{key}"), form) for key, _, form in columns]
        table.add_row(name, *cells, end_section=name == say("difference"))
    console.print(table)
    print_lines(console, [summarize(run)])


def collect_rows(run: Result) -> Rows:
    """Row name -> metrics."""
    rows: Rows = {run.name: run.metrics}
    if run.twin is not None:
        rows[say("twin_row")] = run.twin.metrics
        rows[say("difference")] = run.difference
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
        return say("diverged")
    task = get_facts(run.task)
    sentence = task.result_sentence(run.metrics)
    if run.twin is None:
        return say("alone", sentence=sentence)
    key = task.metric.key
    candidate, baseline = run.metrics[key], run.twin.metrics.get(key, math.inf)
    if not math.isfinite(baseline):
        return say("twin_diverged", sentence=sentence)
    if candidate == baseline:
        if all(run.metrics.get(name) == value for name, value in run.twin.metrics.items()):
            return say("twin_same", sentence=sentence)
        return say("twin_same_score", sentence=sentence, label=task.metric.label)
    difference = task.difference_sentence(candidate, baseline)
    return say("beside_twin", sentence=sentence, difference=difference)


def show_runs(console: Console, settings: Mapping[str, Sequence[Result]]) -> None:
    """A row per setting of a sweep: number and means of its runs, the standard deviation of their
    test scores, the mean difference to the twins and its standard error.

    Ordered by validation, task by task, never by test score. Settings without a validation score
    come last. The runs of a setting are of one task.
    """
    groups = {name: (get_facts(runs[0].task).metric, runs) for name, runs in settings.items()}
    metrics = {metric.key: metric for metric, _ in groups.values()}.values()
    labels = joined(sorted(metric.label for metric in metrics))
    phrases = joined(sorted(metric.phrase for metric in metrics), "sentences")
    count = sum(map(len, settings.values()))
    several = len(settings) < count
    what = counted(count, "run")
    if several:
        what = say("means_of_settings", runs=what, settings=counted(len(settings), "setting"))
    headings: list[str] = [say("validation"), say("score")]
    if several:
        headings = [say("runs"), *headings, say("spread")]
    if any(run.twin or run.difference for runs in settings.values() for run in runs):
        headings += [say("twin"), say("difference"), *([PLUS_MINUS] if several else [])]
    title = say("runs_title", what=what, labels=labels, phrases=phrases)
    rows = []
    for name in order_settings(settings):
        metric, runs = groups[name]
        cells = _setting_cells(metric, runs)
        rows.append((name, *(cells[heading] for heading in headings)))
    print_rows(console, title, (say("setting" if several else "run"), *headings), rows, left=1)


def order_settings(settings: Mapping[str, Sequence[Result]]) -> list[str]:
    """The settings' names, the best one on validation first; task by task."""
    return sorted(
        settings, key=lambda name: _place(get_facts(settings[name][0].task).metric, settings[name])
    )


def _place(metric: Metric, runs: Sequence[Result]) -> tuple[str, float]:
    """Where a setting stands: by task, then by its mean validation score."""
    validation = _mean_of(runs, metric.validation_key)
    known = {} if validation is None else {metric.validation_key: validation}
    return runs[0].task, metric.rank(known)


def _setting_cells(metric: Metric, runs: Sequence[Result]) -> dict[str, str]:
    """Heading -> what a setting's row says."""
    scored = [run.metrics[metric.key] for run in runs if metric.key in run.metrics]
    twins = [run.twin.metrics for run in runs if run.twin]
    twin_scores = [twin[metric.key] for twin in twins if metric.key in twin]
    gaps = [run.difference.get(metric.key, nan) for run in runs]
    finite = [gap for gap in gaps if math.isfinite(gap)]  # without runs that diverged
    mean, spread = _mean_if_any(finite), _spread(finite)
    return {
        say("runs"): _count_scored(len(scored), len(runs)),
        say("validation"): number(_mean_of(runs, metric.validation_key)),
        say("score"): number(_mean_if_any(scored)) if scored else say("failed"),
        say("spread"): number(_spread(scored)),
        say("twin"): number(_mean_if_any(twin_scores)),
        say("difference"): "" if mean is None else f"{mean:+.4f}",
        PLUS_MINUS: "" if spread is None else number(spread / len(finite) ** 0.5),
    }


def _count_scored(scored: int, runs: int) -> str:
    return say("some_of_runs", n=scored, runs=runs) if scored < runs else str(runs)


def _mean_of(runs: Sequence[Result], key: str) -> float | None:
    return _mean_if_any([run.metrics[key] for run in runs if key in run.metrics])


def _mean_if_any(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None


def _spread(values: Sequence[float]) -> float | None:
    """The standard deviation; None of fewer than two, inf where one is not finite."""
    if len(values) < 2:
        return None
    return stdev(values) if all(map(math.isfinite, values)) else math.inf


def _size(part: str, count: int) -> str:
    return say("size", n=f"{count:,}", part=say.of("part", part))


def show_data(console: Console, job: Job, datasets: Datasets) -> None:
    """One line on the data that a job trains on, and one on what was left out of them."""
    table, data = datasets.fetch(job)
    sizes = joined([_size(part, count) for part, count in data.sizes.items()])
    about = get_task(job.spec.task.name).describe(table)
    print_lines(console, [say("about_data", source=table.source, about=about, sizes=sizes)])
    notes = {reason: count for reason, count in data.notes.items() if count}
    left_out = {**table.dropped, **notes}
    if left_out:
        counts = [
            say("counted_reason", reason=say.of("dropped", reason), n=f"{count:,}")
            for reason, count in left_out.items()
        ]
        print_lines(console, [say("left_out", counts=joined(counts))])
    for warning in getattr(table, "warnings", ()):
        console.print(Text(shown(say("note", warning=warning)), style="yellow"), soft_wrap=True)
