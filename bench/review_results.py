"""Run and twin on real reviews, beside the majority class and the linear model.

python bench/review_results.py [sets=sst2,chnsenticorp] [seeds=0,1,2,3,4,5] [threads=1]
    [data=../shared/data/sentiment] [root=runs/review-results]

Resumes; prints a table in Markdown. The rates are those of conf/task/sentiment.yaml
(docs/results/learning-rates-reviews.md).
"""

import sys
from pathlib import Path
from statistics import fmean, stdev

from rich.console import Console

from upgate.cli.arguments import read_options
from upgate.cli.train import train_command
from upgate.experiment.jobs import expand_jobs
from upgate.run.datasets import Datasets
from upgate.run.job import Job
from upgate.store.record import Row
from upgate.store.store import Store

SETS = {
    "reviews": ("Generated reviews", ["data=reviews"]),
    "sst2": ("SST-2, sentences", ["data=texts", "data.path={data}/sst2_sentence.parquet"]),
    "chnsenticorp": ("ChnSentiCorp", ["data=texts", "data.path={data}/chnsenticorp_split.parquet"]),
    "imdb": (
        "IMDb, official test",
        ["data=imdb", "data.path={data}/imdb_50k.parquet", "trainer.precision=bf16-mixed"],
    ),
}
COLUMNS = {
    "accuracy": "accuracy",
    "accuracy_unseen": "without leaked",
    "macro_f1": "macro F1",
    "mcc": "Matthews",
    "loss": "loss",
    "ece": "ECE",
}


def rows_of(jobs: list[Job], root: str) -> tuple[list[Row], list[Row]]:
    """The stored rows of the runs, and of their twins."""
    store = Store(Path(root).resolve())
    there = store.finished([key for job in jobs for key in (job.spec.key, job.twin)])
    return [there[job.spec.key] for job in jobs], [there[job.twin] for job in jobs]


def cell(values: list[float], sign: str = "") -> str:
    """Mean and, from two values on, its standard error, in points where it is a share."""
    spread = f" ± {stdev(values) / len(values) ** 0.5:.4f}" if len(values) > 1 else ""
    return f"{fmean(values):{sign}.4f}{spread}"


def table(runs: list[Row], twins: list[Row]) -> None:
    shown = [key for key in COLUMNS if f"test/{key}" in runs[0].metrics]
    print(
        f"| | {' | '.join(COLUMNS[key] for key in shown)} | seconds"
        f" |\n|---|{'--:|' * (len(shown) + 1)}"
    )
    for name, rows in (("run, upgraded", runs), ("twin, traditional", twins)):
        numbers = [cell([row.metrics[f"test/{key}"] for row in rows]) for key in shown]
        print(
            f"| {name} | {' | '.join(numbers)} |"
            f" {fmean(row.metrics['seconds'] for row in rows):.0f} |"
        )
    gaps = [
        cell(
            [
                a.metrics[f"test/{key}"] - b.metrics[f"test/{key}"]
                for a, b in zip(runs, twins, strict=True)
            ],
            "+",
        )
        for key in shown
    ]
    print(f"| difference | {' | '.join(gaps)} | |")
    for name in ("linear", "majority"):
        print(
            f"| {name} |"
            f" {' | '.join(cell([runs[0].metrics.get(f'test/{name}/{key}', float('nan'))]) for key in shown)} | |"  # noqa: E501
        )


def main(words: list[str]) -> None:
    asked = {
        "sets": "sst2,chnsenticorp",
        "seeds": "0,1,2,3,4,5",
        "threads": "1",
        "data": "../shared/data/sentiment",
        "root": "runs/review-results",
    }
    asked = read_options(asked, words)
    for name in asked["sets"].split(","):
        title, source = SETS[name]
        shown = [
            "task=sentiment",
            *(word.format(**asked) for word in source),
            f"seed={asked['seeds']}",
            f"threads={asked['threads']}",
        ]
        print(f"\n### {title}\n\n`upgate train -m {' '.join(shown)}`\n", flush=True)
        command = [*shown, f"root={asked['root']}"]
        train_command(command, True, None, Console(quiet=True))
        runs, twins = rows_of(expand_jobs(command, True, None, Datasets()), asked["root"])
        leaked = runs[0].metrics.get("test/leaked", 0)
        note = f"; {leaked:.0f} of them are in the training part too" if leaked else ""
        print(
            f"{len(runs)} seeds, {runs[0].metrics['test/samples']:,.0f} test reviews{note}. Mean ±"
            " standard error over seeds.\n"
        )
        table(runs, twins)


if __name__ == "__main__":
    main(sys.argv[1:])
