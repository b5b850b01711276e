"""What a command says at its end: one table that fits a terminal, one sentence, and what to type next."""

import math
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from upgate.run.result import MAIN, Result
from upgate.tasks.base import task_of


def number(value: float | None, form: str = ".4f") -> str:
    """A number as a table shows it; what is not there is blank, what is not finite diverged."""
    if value is None:
        return ""
    return format(value, form) if math.isfinite(value) else "diverged"


def new_table(title: str, *headings: str, left: int = 1) -> Table:
    """A table with its first `left` columns to the left, numbers to the right; narrow enough for 80 characters."""
    table = Table(
        title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True
    )
    for i, heading in enumerate(headings):
        table.add_column(heading, justify="left" if i < left else "right", overflow="fold")
    return table


def show_one(console: Console, run: Result) -> None:
    """This run, its twin, the difference, and the references on the same samples."""
    task = task_of(run.task)
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
    columns = task.shown(run.metrics)
    table = new_table(task.title(run.metrics), "", *(heading for _, heading, _ in columns))
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
    task, main = task_of(run.task), MAIN[run.task].key
    said = task.sentence(run.metrics)
    if run.twin is None:
        return f"{said}."
    ours, theirs = run.metrics[main], run.twin["metrics"].get(main, math.inf)
    if not math.isfinite(theirs):
        return f"{said}; its twin diverged."
    if ours == theirs:
        return f"{said}; its twin did exactly the same."
    return f"{said}; {task.gap(ours, theirs)} its twin's. One seed is an anecdote."


def show_many(console: Console, results: Sequence[Result]) -> None:
    """A row per run: its score, its twin's, and the difference."""
    phrases = "; ".join(sorted({MAIN[run.task].phrase for run in results}))
    table = new_table(
        f"{len(results)} runs, best first; score: {phrases}", "run", "score", "twin", "difference"
    )
    for run in sorted(results, key=lambda run: MAIN[run.task].rank(run.metrics)):
        main = MAIN[run.task].key
        twin = run.twin["metrics"].get(main) if run.twin else None
        score = "FAILED" if run.status != "FINISHED" else number(run.metrics.get(main))
        gap = run.difference.get(main)
        table.add_row(Text(run.name), score, number(twin), "" if gap is None else f"{gap:+.4f}")
    console.print(table)


def show_failures(console: Console, failed: Sequence[Result]) -> None:
    table = new_table(
        f"[red]{len(failed)} failed[/]; their tracebacks are artifacts of the runs in MLflow",
        "run",
        "error",
        left=2,
    )
    for run in failed:
        table.add_row(Text(run.name), Text(run.error))
    console.print(table)


def interrupted(console: Console) -> int:
    """Say that nothing is lost; the exit code."""
    console.print("\ninterrupted; the same command goes on where this one stopped.")
    return 130


def declined(console: Console, command: str) -> int:
    """Say how to go on after a plan that was not agreed to; the exit code."""
    told = f"nothing was trained; go on with: upgate {command} --yes ..., or {command}.yes=true"
    console.print(told, highlight=False, soft_wrap=True)
    return 0
