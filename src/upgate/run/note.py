"""A run's description on MLflow's pages: what its command prints of it, as Markdown."""

import re
from collections.abc import Sequence

from upgate.console import number
from upgate.run.console_tables import collect_rows, summarize
from upgate.run.result import Result
from upgate.tasks.names import get_facts

SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#])")  # what Markdown takes for more than itself


def describe_run(run: Result, parameters: str) -> str:
    """The sentence, the table, and how many parameters are trained, where that is known.

    Without the first two for a trial of a search, whose test part stays closed.
    """
    tested = get_facts(run.task).metric.key in run.metrics
    lines = [escape(summarize(run)), "", *_metrics_table(run)] if tested else []
    if parameters:
        lines += ["", f"{int(parameters):,} trained parameters"]
    return "\n".join(lines).strip()


def _metrics_table(run: Result) -> list[str]:
    task = get_facts(run.task)
    columns = task.table_columns(run.metrics)
    headings = ["", *(escape(heading) for _, heading, _ in columns)]
    lines = [
        escape(task.table_title(run.metrics)),
        "",
        _markdown_row(headings),
        _markdown_row(["---:"] * len(headings)),
    ]
    for name, metrics in collect_rows(run).items():
        cells = [number(metrics.get(f"test/{key}"), form) for key, _, form in columns]
        lines.append(_markdown_row([escape(name), *cells]))
    return lines


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def escape(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return SPECIAL.sub(r"\\\1", " ".join(text.split()))
