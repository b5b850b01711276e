"""What a command says at its end: one table that fits a terminal, one sentence, and what to type next."""

import math
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from upgate.console import new_table, number
from upgate.run.datasets import Datasets
from upgate.run.job import Job
from upgate.run.result import Result
from upgate.tasks.registry import get_task


def show_one(console: Console, run: Result) -> None:
    """This run, its twin, the difference, and the references on the same samples."""
    task = get_task(run.task)
    rows = {run.name: run.metrics}
    if run.twin is not None:
        rows["twin, traditional"] = run.twin["metrics"]
        rows["difference"] = run.difference
    for name in task.references:
        own = {
            key.replace(f"/{name}/", "/"): value
            for key, value in run.metrics.items()
            if f"/{name}/" in key
        }
        if own:
            rows[name] = own
    columns = task.table_columns(run.metrics)
    table = new_table(task.table_title(run.metrics), "", *(heading for _, heading, _ in columns))
    for name, metrics in rows.items():
        table.add_row(
            Text(name),
            *(number(metrics.get(f"test/{key}"), form) for key, _, form in columns),
            end_section=name == "difference",
        )
    console.print(table)
    console.print(sentence(run), highlight=False, soft_wrap=True)


def sentence(run: Result) -> str:
    """What the table says, and how little one seed says."""
    if run.diverged:
        return "The run diverged: its gradients were no longer finite. Try a smaller optimizer.lr or clip=norm."
    task = get_task(run.task)
    main = task.metric.key
    said = task.result_sentence(run.metrics)
    if run.twin is None:
        return f"{said}."
    ours, theirs = run.metrics[main], run.twin["metrics"].get(main, math.inf)
    if not math.isfinite(theirs):
        return f"{said}; its twin diverged."
    if ours == theirs:
        return f"{said}; its twin did exactly the same."
    return f"{said}; {task.difference_sentence(ours, theirs)} its twin's. One seed is an anecdote."


def show_many(console: Console, results: Sequence[Result]) -> None:
    """A row per run: its score, its twin's, and the difference."""
    phrases = "; ".join(sorted({get_task(run.task).metric.phrase for run in results}))
    table = new_table(
        f"{len(results)} runs, best first; score: {phrases}", "run", "score", "twin", "difference"
    )
    for run in sorted(results, key=lambda run: get_task(run.task).metric.rank(run.metrics)):
        main = get_task(run.task).metric.key
        twin = run.twin["metrics"].get(main) if run.twin else None
        score = "FAILED" if run.status != "FINISHED" else number(run.metrics.get(main))
        gap = run.difference.get(main)
        table.add_row(Text(run.name), score, number(twin), "" if gap is None else f"{gap:+.4f}")
    console.print(table)


def show_data(console: Console, job: Job, datasets: Datasets) -> None:
    """One line on the data that a job trains on, and one on what was left out of them."""
    table, data = datasets.fetch(job)
    samples = ", ".join(f"{count:,} {part}" for part, count in data.sizes.items())
    about = get_task(job.spec.task.name).describe(table)
    console.print(
        f"{table.source}: {about}: {samples}", highlight=False, markup=False, soft_wrap=True
    )
    left_out = {**table.dropped, **{what: count for what, count in data.notes.items() if count}}
    if left_out:
        counts = ", ".join(f"{count:,} {reason}" for reason, count in left_out.items())
        console.print(f"left out: {counts}", highlight=False)
