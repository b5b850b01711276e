"""What a command says at its end: one table that fits a terminal, one sentence, and what to type next."""

import math
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from upgate.run.result import MAIN, Result

# metric, heading, format; a column is left out where no row has it, and MAE where there is one in price
COLUMNS = (
    ("mse_ratio", "MSE ratio", ".4f"),
    ("mse", "MSE", ".3g"),
    ("mae", "MAE", ".3g"),
    ("r2_oos", "R²", ".4f"),
    ("direction", "direction", ".3f"),
    ("price_mae", "price MAE", ".4g"),
)
REFERENCES = ("persistence", "drift", "har")


def number(value: float | None, form: str = ".4f") -> str:
    """A number as a table shows it; what is not there is blank, what is not finite diverged."""
    if value is None:
        return ""
    return format(value, form) if math.isfinite(value) else "diverged"


def new_table(title: str, *headings: str, left: int = 1) -> Table:
    """A table with its first `left` columns to the left, numbers to the right; narrow enough for 80 characters."""
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for i, heading in enumerate(headings):
        table.add_column(heading, justify="left" if i < left else "right", overflow="fold")
    return table


def show_one(console: Console, run: Result) -> None:
    """This run, its twin, the difference, and the references on the same dates."""
    rows = {run.name: run.metrics}
    if run.twin is not None:
        rows["twin, traditional"] = run.twin["metrics"]
        rows["difference"] = run.difference
    for name in REFERENCES:
        own = {key.replace(f"/{name}/", "/"): value for key, value in run.metrics.items() if f"/{name}/" in key}
        if own:
            rows[name] = own
    columns = [c for c in COLUMNS if f"test/{c[0]}" in run.metrics and (c[0] != "mae" or "test/price_mae" not in run.metrics)]
    title = f"test part, {int(run.metrics.get('test/samples', 0)):,} samples; MSE ratio: to persistence's, below 1 beats it"
    table = new_table(title, "", *(heading for _, heading, _ in columns))
    for name, metrics in rows.items():
        table.add_row(name, *(number(metrics.get(f"test/{key}"), form) for key, _, form in columns), end_section=name == "difference")
    console.print(table)
    console.print(sentence(run), highlight=False, soft_wrap=True)


def sentence(run: Result) -> str:
    """What the table says, and how little one seed says."""
    main = MAIN[run.task]
    ours = run.metrics.get(main, math.inf)
    if run.diverged:
        return "The run diverged: its gradients were no longer finite. Try a smaller optimizer.lr or clip=norm."
    beats = "beats" if ours < 1 else "does not beat"
    said = f"The run {beats} persistence ({ours:.4f} of its MSE)"
    if run.twin is None:
        return said + "."
    theirs = run.twin["metrics"].get(main, math.inf)
    if not math.isfinite(theirs):
        return said + "; its twin diverged."
    change = 100 * (ours / theirs - 1)
    if ours == theirs:
        return said + "; its twin did exactly the same."
    return said + f"; its MSE ratio is {abs(change):.2f}% {'lower' if change < 0 else 'higher'} than its twin's. One seed is an anecdote."


def show_many(console: Console, results: Sequence[Result]) -> None:
    """A row per run: its score, its twin's, and the difference."""
    table = new_table(
        f"{len(results)} runs, best first; score: {', '.join(sorted({MAIN[r.task] for r in results}))}, lower is better",
        "run",
        "score",
        "twin",
        "difference",
    )
    for run in sorted(results, key=lambda r: r.metrics.get(MAIN[r.task], math.inf)):
        main = MAIN[run.task]
        twin = run.twin["metrics"].get(main) if run.twin else None
        score = "FAILED" if run.status != "FINISHED" else number(run.metrics.get(main))
        gap = run.difference.get(main)
        table.add_row(run.name, score, number(twin), "" if gap is None else f"{gap:+.4f}")
    console.print(table)


def show_failures(console: Console, failed: Sequence[Result]) -> None:
    table = new_table(f"[red]{len(failed)} failed[/]; their tracebacks are artifacts of the runs in MLflow", "run", "error", left=2)
    for run in failed:
        table.add_row(run.name, run.error)
    console.print(table)
