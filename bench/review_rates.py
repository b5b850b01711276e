"""The learning rate of every optimizer for reviews, from one small search; chosen on validation
parts only.

python bench/review_rates.py [optimizers=sgd,...] [data=../shared/data/sentiment]
[root=runs/review-rates] [threads=1] resumes; prints tables in Markdown

The same number of rates for every optimizer, half a decade apart. Two corpora: generated, and SST-2
(sentences); default budget, one seed that no result is reported with. sgd is searched in the
traditional recipe, the others in the upgraded one. The score is the accuracy on the validation
part, the mean over the corpora.
"""

import sys
from pathlib import Path
from statistics import fmean

from rich.console import Console

from upgate.cli.arguments import read_options
from upgate.cli.train import train_command
from upgate.experiment.jobs import expand_jobs
from upgate.run.datasets import Datasets
from upgate.store.store import Store

RATES = {
    "sgd": [0.03, 0.1, 0.3, 1.0, 3.0],
    "rmsprop": [1e-4, 3e-4, 1e-3, 3e-3, 1e-2],
    "adam": [3e-4, 1e-3, 3e-3, 1e-2, 3e-2],
    "adamw": [3e-4, 1e-3, 3e-3, 1e-2, 3e-2],
    "momentum": [0.01, 0.03, 0.1, 0.3, 1.0],
    "nesterov": [0.01, 0.03, 0.1, 0.3, 1.0],
    "nadam": [3e-4, 1e-3, 3e-3, 1e-2, 3e-2],
    "radam": [1e-3, 3e-3, 1e-2, 3e-2, 0.1],
    "adagrad": [3e-3, 1e-2, 3e-2, 0.1, 0.3],
    "lion": [1e-4, 3e-4, 1e-3, 3e-3, 1e-2],
    "muon": [1e-3, 3e-3, 1e-2, 3e-2, 0.1],
    "schedule_free": [1e-3, 3e-3, 1e-2, 3e-2, 0.1],
    "nt_asgd": [0.1, 0.3, 1.0, 3.0, 10.0],
}
BESIDE = {"schedule_free": ["schedule=constant"]}  # it is its own schedule
SEED = 100


def corpora(folder: str) -> dict[str, list[str]]:
    """Corpus -> the words that choose it."""
    return {
        "generated": ["data=reviews"],
        "SST-2": ["data=texts", f"data.path={Path(folder) / 'sst2_sentence.parquet'}"],
    }


def search(optimizer: str, source: list[str], root: str, threads: str) -> dict[float, float]:
    """Validation accuracy by rate; what is in the store is not trained again."""
    recipe = (
        ["recipe=traditional"]
        if optimizer == "sgd"
        else ["recipe=upgraded", f"optimizer={optimizer}", *BESIDE.get(optimizer, [])]
    )
    axis = f"optimizer.lr={','.join(map(str, RATES[optimizer]))}"
    words = [
        "task=sentiment",
        *source,
        "twin=false",
        f"seed={SEED}",
        f"threads={threads}",
        *recipe,
        axis,
        f"root={root}",
    ]
    train_command(words, True, None, Console(quiet=True))
    jobs = expand_jobs(words, True, None, Datasets())
    rows = Store(Path(root).resolve()).finished(job.spec.key for job in jobs)
    return {
        job.config.parts["optimizer"].knobs["lr"]: (
            rows[job.spec.key].metrics.get("val/accuracy", 0.0)
        )
        for job in jobs
    }


def main(words: list[str]) -> None:
    asked = {
        "optimizers": ",".join(RATES),
        "data": "../shared/data/sentiment",
        "root": "runs/review-rates",
        "threads": "1",
    }
    asked = read_options(asked, words)
    there = corpora(asked["data"])
    for optimizer in asked["optimizers"].split(","):
        rates = RATES[optimizer]
        print(
            f"\n### {optimizer}\n\n| corpus | {' | '.join(f'{rate:g}' for rate in rates)}"
            f" |\n|---|{'--:|' * len(rates)}",
            flush=True,
        )
        found = {}
        for corpus, source in there.items():
            found[corpus] = search(optimizer, source, asked["root"], asked["threads"])
            print(
                f"| {corpus} | {' | '.join(f'{score:.4f}' for score in found[corpus].values())} |",
                flush=True,
            )
        means = [fmean(scores[rate] for scores in found.values()) for rate in rates]
        cells = [f"**{mean:.4f}**" if mean == max(means) else f"{mean:.4f}" for mean in means]
        print(f"| mean | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
