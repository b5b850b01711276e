"""The learning rate of every optimizer for reviews, from one small search; chosen on validation
parts only.

python bench/review_rates.py [optimizers=sgd,...] [data=../shared/data/sentiment]
[corpora=generated,SST-2] [epochs=8] [processes=1] [file=runs/review-rates.jsonl]
resumes; prints a table in Markdown

Rates half a decade apart. Two corpora: generated, and SST-2 (sentences); one seed that no result is
reported with. sgd is searched in the
traditional recipe, the others in the upgraded one, all without the skip: the LSTM's own loss is
the same with it. The score is the accuracy on the validation part, the mean over the corpora.
"""

import sys
from itertools import product
from pathlib import Path
from statistics import fmean

from trainings import Words, measure

from upgate.cli.arguments import read_options

RATES = {
    "sgd": [0.1, 0.3, 1.0, 3.0],
    "rmsprop": [1e-3, 3e-3, 1e-2, 3e-2],
    "adam": [1e-3, 3e-3, 5e-3, 1e-2, 3e-2],
    "adamw": [1e-3, 3e-3, 5e-3, 1e-2],
    "momentum": [0.1, 0.3, 1.0],
    "nesterov": [0.1, 0.3, 1.0],
    "nadam": [1e-3, 3e-3, 1e-2, 3e-2],
    "radam": [3e-3, 1e-2, 3e-2, 0.1],
    "adagrad": [1e-2, 3e-2, 0.1, 0.3],
    "lion": [1e-4, 3e-4, 1e-3, 3e-3],
    "muon": [3e-3, 1e-2, 3e-2, 0.1],
    "schedule_free": [3e-3, 1e-2, 3e-2, 0.1],
    "nt_asgd": [0.3, 1.0, 3.0, 10.0],
}
BESIDE = {"schedule_free": ["schedule=constant"]}  # it is its own schedule
SEED, SCORE = 100, "val/accuracy"


def corpora(folder: str) -> dict[str, list[str]]:
    """Corpus -> the words that choose it."""
    return {
        "generated": ["data=reviews"],
        "SST-2": ["data=texts", f"data.path={Path(folder) / 'sst2_sentence.parquet'}"],
    }


def command(optimizer: str, rate: float, source: list[str], epochs: str) -> Words:
    """The overrides of the run of a rate on a corpus."""
    recipe = (
        ["recipe=traditional"]
        if optimizer == "sgd"
        else ["recipe=upgraded", f"optimizer={optimizer}", *BESIDE.get(optimizer, [])]
    )
    run = (f"seed={SEED}", "threads=1", f"trainer.max_epochs={epochs}", "model.skip=none")
    return ("task=sentiment", *source, *run, *recipe, f"optimizer.lr={rate:g}")


def main(words: list[str]) -> None:
    asked = {
        "optimizers": ",".join(RATES),
        "data": "../shared/data/sentiment",
        "corpora": "generated,SST-2",
        "epochs": "8",
        "processes": "1",
        "file": "runs/review-rates.jsonl",
    }
    asked = read_options(asked, words)
    optimizers, known = asked["optimizers"].split(","), corpora(asked["data"])
    there = {name: known[name] for name in asked["corpora"].split(",")}
    listed = {
        (optimizer, corpus, rate): command(optimizer, rate, source, asked["epochs"])
        for optimizer, (corpus, source) in product(optimizers, there.items())
        for rate in RATES[optimizer]
    }
    metrics = measure(listed.values(), Path(asked["file"]), int(asked["processes"]))
    blanks = "| " * (max(len(RATES[optimizer]) for optimizer in optimizers) - 2)
    print(f"| optimizer | corpus | lowest rate {blanks}| highest rate |")
    print(f"|---|---|--:|{'--:|' * (len(blanks) // 2)}--:|")
    for optimizer in optimizers:
        rates = RATES[optimizer]
        scores = {
            corpus: [metrics[listed[optimizer, corpus, rate]].get(SCORE, 0.0) for rate in rates]
            for corpus in there
        }
        scores["mean"] = [fmean(column) for column in zip(*scores.values(), strict=True)]
        for corpus, row in scores.items():
            bold = ["**" * (corpus == "mean" and score == max(row)) for score in row]
            cells = [
                f"{rate:g}: {mark}{score:.4f}{mark}"
                for rate, score, mark in zip(rates, row, bold, strict=True)
            ]
            print(f"| {optimizer} | {corpus} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main(sys.argv[1:])
